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

from eimf_cli import terminal
from tests.conftest import ROOT, Eimf
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(columns: int, *arguments: object, cwd: Path) -> list[str]:
    """The lines that a person sees of a command, without colours."""
    # a bar that was there is overwritten in place
    return [line.split("\r")[-1] for line in written(columns, "-m", "eimf_cli", *arguments, cwd=cwd).split("\n")]


def written(columns: int, *arguments: object, cwd: Path) -> str:
    """All that Python with some arguments wrote on a terminal, without colours; what was overwritten too."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EIMF_") and key != "COLUMNS"}
    environment = {**kept, "TERM": "xterm", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment) as running:
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 1 << 16):
                text += part
        except OSError:
            # the other end is closed
            pass
        assert running.wait(60) == 0, text.decode()
    os.close(ours)
    return CONTROL.sub("", text.decode()).replace("\r\n", "\n")


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_all_users_leave_one_line(folder: Path) -> None:
    lines = on_terminal(80, "recommend", "model", "--all-users", "data", "-o", "all.parquet", cwd=folder)
    last = [line for line in lines if line.strip()][-1]
    assert re.fullmatch(r"all\.parquet: 600 recommendations for 60 users; [\d,]+ users a second", last)


PROGRESS = """
import time
from eimf_cli.progress_bars import TerminalReporter
reporter = TerminalReporter()
reporter.begin("reading a-log-with-a-name-that-is-quite-long-and-holds-interactions-2024-11.csv.gz")
time.sleep(0.15)
reporter.end()
reporter.begin("member 1 of 3, comirec-sa, epoch 12", 12_000, 4_000)
for _ in range(3):
    reporter.advance(1_000, loss="5.123", rate="73,000/s", valid="0.1234 (best 0.1240)", left="at most 12 min")
    time.sleep(0.15)
reporter.begin("encoding text", 1_000)
time.sleep(0.15)
reporter.end()
reporter.end()
"""


@pytest.mark.parametrize("columns", [80, 200])
def test_progress_stays_on_its_lines(tmp_path: Path, columns: int) -> None:
    drawn = [line for line in re.split(r"[\r\n]", written(columns, "-c", PROGRESS, cwd=tmp_path)) if line.strip()]
    assert max(map(len, drawn)) <= columns
    said = "\n".join(drawn)
    assert re.search("^member 1 of 3, comirec-sa, epoch 12 .*━.* 7,000/12,000  at most 12 min left", said, re.MULTILINE)
    assert ("valid 0.1234 (best 0.1240)" in said) == (columns == 200)
    # of work of unknown length the seconds are told
    assert re.search(r"^reading a-log-.*  \d+ s", said, re.MULTILINE) and "?" not in said
    assert re.search("^encoding text  .*0/1,000", said, re.MULTILINE)


ITEM = "(tea|yarn|fish)-."
NEXT = {
    "verify model": f"recommend model --items {ITEM}",
    "similar model tea-1 -k 2": "recommend model --items tea-1",
    "recommend model --items tea-1,yarn-1 --table": f"recommend model --items tea-1,yarn-1 --explain {ITEM}",
    "eval model data --baselines none": "recommend model --all-users data -o recommendations.parquet",
    "cluster data --budget 2 -o samples.jsonl": "label samples.jsonl --engine keywords -o labels.jsonl",
    "label samples.jsonl --engine categories --items data/items.jsonl -o l.jsonl":
        "train data --labels l.jsonl -o model/",
    "score l.jsonl --samples samples.jsonl --truth data/items.jsonl -o q.jsonl":
        "train data --labels l.jsonl -o model/",
}  # fmt: skip
"""Commands that read what those before them wrote, and what each says may be typed next."""


@pytest.mark.slow
def test_each_step_ends_with_the_next_command(eimf: Eimf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command, then in NEXT.items():
        with monkeypatch.context() as patched:
            patched.setattr(terminal, "shows_next_steps", lambda: True)
            patched.setattr(terminal, "stdout_is_terminal", lambda: True)
            done = eimf(*command.split(), cwd=folder)
        last = done.stderr.decode().rstrip().splitlines()[-1]
        assert done.returncode == 0 and re.fullmatch(f"next: eimf {then}", last), last
    # off a terminal nothing is said of it
    assert b"next:" not in eimf("verify", "model", cwd=folder).stderr
