"""Shared by all tests: running the command line as a subprocess, real data, slow tests on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
Eimf = Callable[..., subprocess.CompletedProcess[bytes]]
# a shell starts what it puts in the background with Ctrl-C ignored, and children inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--all"):
        return
    skip = pytest.mark.skip(reason="slow; run with --all")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of subprocesses: no settings of the caller's, offline, one thread."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EIMF_") and key != "FORCE_COLOR"}
    return {**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}


@pytest.fixture
def eimf(environment: dict[str, str]) -> Eimf:
    """Run `eimf ARGUMENTS` as a subprocess: `eimf("eval", model, data, stdin=b"…", cwd=…, timeout=…)`."""

    def run(
        *arguments: object,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout: float = 120,
        env: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "eimf_cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd or ROOT,
            timeout=timeout,
            env={**environment, **(env or {})},
            check=False,
            pass_fds=pass_fds,
        )

    return run


def one_error_line(done: subprocess.CompletedProcess[bytes], code: int) -> str:
    """The single error line of a failed run; fails the test on another code, a traceback or more lines."""
    stderr = done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode}: {stderr}"
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if line.startswith("eimf: ") and not line.startswith("eimf: warning")]
    assert len(lines) == 1, stderr
    return lines[0]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; skips without it."""
    folder = os.environ.get("EIMF_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("EIMF_DATA is not set to a folder of real data sets")
    return Path(folder)
