"""Signals that arrive in prepare where it must not stop half way: an import, the removal of its scratch files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eimf_core.prepare import output_directory

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
from eimf_core.prepare import duckdb_session

def terminate(*_):
    raise SystemExit("terminated")

signal.signal(signal.SIGTERM, terminate)
try:
    duckdb_session.library()
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


def test_a_signal_in_the_removal_of_scratch_files_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(folder: Path, **how: Any) -> None:
        if folder.exists():
            signal.raise_signal(signal.SIGINT)
        remove(folder, **how)

    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", removed)
    with pytest.raises(KeyboardInterrupt), output_directory.output_folder(tmp_path, force=False) as scratch:
        (scratch / "part").write_text("")
    assert not scratch.exists()
