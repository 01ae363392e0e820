"""Shared by all tests: running the command line in this process or another, real data, slow tests on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import hypothesis
import pytest

from tests import in_process

ROOT = Path(__file__).resolve().parent.parent
Eimf = Callable[..., subprocess.CompletedProcess[bytes]]
LONG = (
    "tests/robustness/", "cli/test_quickstart", "cli/test_train_processes", "cli/test_prepare", "cli/test_nightly",
    "unit/test_training_device", "cli/test_label", "contract/test_engines", "unit/test_ensemble", "cli/test_train",
)  # fmt: skip
"""Files that take long, the longest first."""
# a shell starts what it puts in the background with Ctrl-C ignored, and children inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests too")


def pytest_configure(config: pytest.Config) -> None:
    """Properties are tried with more examples by --all."""
    # what takes long on a busy machine is no fault
    # the same examples in each run: what is found by chance belongs to the night of tests/robustness
    patient = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow], "derandomize": True}
    hypothesis.settings.register_profile("quick", max_examples=20, **patient)
    hypothesis.settings.register_profile("all", max_examples=100, **patient)
    hypothesis.settings.load_profile("all" if config.getoption("--all") else "quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first, so that no process is left alone with one; slow tests only with --all."""
    items.sort(key=lambda item: next((at for at, name in enumerate(LONG) if name in item.nodeid), len(LONG)))
    if config.getoption("--all"):
        return
    skip = pytest.mark.skip(reason="slow; run with --all")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def disk_is_not_waited_for() -> Iterator[None]:
    """Power does not fail within a test; processes of their own still wait for the disk."""
    with mock.patch.object(os, "fsync", lambda handle: None):
        yield


@pytest.fixture(autouse=True)
def smallest_numbers_are_kept() -> Iterator[None]:
    """What a training that was cut has set counts for no later test."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of subprocesses: no settings of the caller's, offline, one thread."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EIMF_") and key != "FORCE_COLOR"}
    return {**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}


@pytest.fixture(scope="session")
def eimf(environment: dict[str, str]) -> Eimf:
    """Run `eimf ARGUMENTS` in this process: `eimf("eval", model, data, stdin=b"…", cwd=…, env={…})`.

    What stands on stdout and stderr, and the exit code, are those of the process that `eimf_process` would start.
    """

    def run(
        *arguments: object, stdin: bytes = b"", cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return in_process.eimf(arguments, stdin=stdin, cwd=cwd or ROOT, environment={**environment, **(env or {})})

    return run


@pytest.fixture(scope="session")
def eimf_process(environment: dict[str, str]) -> Eimf:
    """Run `eimf ARGUMENTS` as a subprocess, for what only that shows: imports, signals, pipes, exit."""

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
