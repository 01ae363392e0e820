"""Commands in a pseudo-terminal of 80 and of 200 columns: tables that fit, what comes next, nothing left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(columns: int, *arguments: object, cwd: Path) -> list[str]:
    """The lines that a person sees of a command, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EIMF_") and key != "COLUMNS"}
    environment = {**kept, "TERM": "xterm", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "eimf_cli", *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment) as running:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 1 << 16):
                written += part
        except OSError:
            # the other end is closed
            pass
        assert running.wait(60) == 0, written.decode()
    os.close(ours)
    # a bar that was there is overwritten in place
    return [line.split("\r")[-1] for line in CONTROL.sub("", written.decode()).replace("\r\n", "\n").split("\n")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/`, `model/` and a log."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "data").mkdir()
    write_small_data(folder / "data", times=True)
    write_named_model(folder / "model")
    rows = [f"u{at % 9},i{at % 7},{1_600_000_000 + 3600 * at}" for at in range(200)]
    (folder / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    return folder


@pytest.mark.parametrize("columns", [80, 200])
def test_an_answer_fits_and_says_what_was_understood(folder: Path, columns: int) -> None:
    asked = ("recommend", "model", "--user", "user-3", "--sequences", "data", "-k", "4")
    lines = on_terminal(columns, *asked, cwd=folder)
    assert max(map(len, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    assert "user user-3: 4 items listed" in text and " items until 20" in text and ", the last: " in text
    rows = [line for line in lines if re.match(r" +[1-4] +(tea|yarn|fish)-\d", line)]
    assert len(rows) == 4 and "because of" in text
    shortened = on_terminal(columns, *asked, "--jsonl", cwd=folder)
    assert shortened[0].startswith('{"id":"user-3"')


@pytest.mark.parametrize("columns", [80, 200])
def test_prepare_ends_with_the_next_command(folder: Path, columns: int) -> None:
    lines = on_terminal(columns, "prepare", "log.csv", "-o", f"made-{columns}", cwd=folder)
    assert lines[-2:] == [f"next: eimf train made-{columns} -o model/", ""]
    assert max(len(line) for line in lines if not line.startswith("log.csv")) <= columns


def test_all_users_leave_one_line(folder: Path) -> None:
    lines = on_terminal(80, "recommend", "model", "--all-users", "data", "-o", "all.parquet", cwd=folder)
    last = [line for line in lines if line.strip()][-1]
    assert re.fullmatch(r"all\.parquet: 600 rows for 60 users; [\d,]+ users a second", last)
