"""Ctrl-C while `cluster`, `eval` and `recommend` work: one line, 130, no half-written output.

The other steps are interrupted in their own files, where what they keep is looked at as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, Eimf
from tests.small_data import write_small_data

INTERRUPTED = b"eimf: interrupted"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data", users=2_000)


@pytest.fixture
def model(eimf: Eimf, data: Path, tmp_path: Path) -> Path:
    done = eimf("train", data, "--fast", "--epochs", "1", "--item-vectors", "random", "-o", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    return tmp_path / "model"


def start(environment: dict[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "eimf_cli", *map(str, arguments)],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def interrupt(process: subprocess.Popen[bytes]) -> None:
    assert process.poll() is None, "it was over too soon to be interrupted"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr.count(INTERRUPTED) == 1 and b"Traceback" not in stderr


@pytest.mark.slow
def test_cluster(data: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    process = start(environment, "cluster", data, "-o", tmp_path / "samples.jsonl")
    deadline = time.monotonic() + 60
    while not (data / ".cache").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (data / ".cache").exists()
    interrupt(process)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_eval(data: Path, model: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    process = start(environment, "eval", model, data, "--resamples", "100000", "-o", tmp_path / "metrics.jsonl")
    assert process.stderr is not None and any(b"users left out" in line for line in process.stderr)
    interrupt(process)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model"]


@pytest.mark.slow
def test_recommend_keeps_what_was_answered(model: Path, environment: dict[str, str]) -> None:
    process = start(environment, "recommend", model)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b'{"history": ["tea-1"]}\n')
    process.stdin.flush()
    assert process.stdout.readline().endswith(b"}\n")
    interrupt(process)


def test_before_the_command_is_imported(environment: dict[str, str], tmp_path: Path) -> None:
    # a typer that sends the signal while it is imported, and would hide an exception as libraries do
    (tmp_path / "typer.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    sum(range(10**6))\n"
        "except BaseException:\n    pass\n"
    )
    path = os.pathsep.join((str(tmp_path), environment.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "eimf_cli", "--version"],
        cwd=ROOT, env=environment | {"PYTHONPATH": path}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"eimf: interrupted\n")


def test_within_text_given_to_exec(environment: dict[str, str], tmp_path: Path) -> None:
    # as dataclasses and named tuples do while they are imported; Python remembers such an interrupt
    (tmp_path / "duckdb.py").write_text("exec('raise KeyboardInterrupt')\n")
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\n1,2,3\n")
    path = os.pathsep.join((str(tmp_path), environment.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "eimf_cli", "prepare", str(log), "-o", str(tmp_path / "out")],
        cwd=ROOT, env=environment | {"PYTHONPATH": path}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr.splitlines()[-1].startswith(b"eimf: interrupted")
