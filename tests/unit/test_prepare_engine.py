"""The engine behind prepare: signals in the import of its library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# stands in for the library: a signal arrives half way
SLOW_LIBRARY = """
import os, time
os.kill(os.getpid(), {number})
time.sleep(.05)
print("imported", flush=True)
"""
ASKING = """
import signal
from eimf_core.prepare import engine

def terminate(*_):
    raise SystemExit("terminated")

signal.signal(signal.SIGTERM, terminate)
try:
    engine.library()
except (KeyboardInterrupt, SystemExit) as stopped:
    print(type(stopped).__name__)
assert signal.getsignal(signal.SIGTERM) is terminate
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


@pytest.mark.parametrize(("number", "stops"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "SystemExit")])
def test_a_signal_in_the_import_of_the_library_takes_effect_after_it(
    tmp_path: Path, number: signal.Signals, stops: str
) -> None:
    (tmp_path / "duckdb.py").write_text(SLOW_LIBRARY.format(number=int(number)))
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", ASKING], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["imported", stops]
