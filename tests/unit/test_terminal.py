"""What a terminal is left like: no bar and a visible cursor, however a command ends."""

from __future__ import annotations

import importlib
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from eimf_cli import exit_codes, main, progress_bars, startup_notice, terminal, verify
from eimf_core.model_directory import artifact
from eimf_core.progress import duration


@pytest.fixture(autouse=True)
def neither_quiet_nor_verbose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ran in this process before may have set another level."""
    monkeypatch.setattr(terminal, "_level", 0)


HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_error_in_the_middle_of_work_gives_the_cursor_back(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    reporter = progress_bars.TerminalReporter()
    reporter.begin("reading", 3)
    reporter.begin("a part of it")
    assert HIDE in screen.getvalue() and SHOW not in screen.getvalue()
    exit_codes.report(exit_codes.Outcome(3, "log.csv:3: is wrong"))
    written = screen.getvalue()
    assert written.index(SHOW) < written.index("eimf: log.csv:3: is wrong")
    assert written.endswith("is wrong\n")


@pytest.mark.slow
def test_long_work_off_a_terminal_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    assert progress_bars.HEARTBEAT_SECONDS <= 30
    monkeypatch.setattr(progress_bars, "HEARTBEAT_SECONDS", 0.01)
    reporter = progress_bars.TerminalReporter()

    def wait_for(words: str) -> None:
        deadline = time.monotonic() + 30
        while words not in screen.getvalue():
            assert time.monotonic() < deadline, screen.getvalue()
            time.sleep(0.01)

    reporter.begin("labelling", 2000)
    reporter.advance(1500)
    wait_for(" s, 1,500 of 2,000\n")
    reporter.begin("encoding")
    wait_for("encoding: ")
    reporter.end()
    reporter.advance(1)
    wait_for(" s, 1,501 of 2,000\n")
    reporter.end()
    # a line that was being written may still come
    time.sleep(1)
    said = screen.getvalue()
    time.sleep(0.1)
    assert screen.getvalue() == said


def listen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(startup_notice, "SECONDS", 0.02)
    monkeypatch.setattr(startup_notice, "PAUSE", 0.01)
    return screen


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_silent_command_says_soon_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    early = listen(monkeypatch)
    with startup_notice.given("reading data/"):
        wait_until(lambda: early.getvalue() == "reading data/ …\n")
        time.sleep(0.1)
    assert early.getvalue().count("\n") == 1


def test_commands_say_what_they_read_within_two_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # typer and the interpreter take some tenths of a second before
    assert startup_notice.SECONDS <= 1.7
    early = listen(monkeypatch)
    monkeypatch.setattr(
        artifact, "verify", lambda model: wait_until(lambda: early.getvalue() == f"reading {model} …\n")
    )
    typer.main.get_command(verify.app)([str(tmp_path)], standalone_mode=False)
    assert early.getvalue().endswith("every file is as training wrote it\n")


def test_files_to_write_are_not_told_as_read() -> None:
    for name in (*main.STEPS, *main.FURTHER):
        command = typer.main.get_command(importlib.import_module(f"eimf_cli.{name}").app)
        for option in command.params:
            told = getattr(option, "help", None) or ""
            if told.startswith("Write ") and option.metavar:
                assert option.name in startup_notice.OUTPUTS, f"{name} --{option.name}"


def test_the_work_that_goes_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    early = listen(monkeypatch)
    reporter = progress_bars.TerminalReporter()
    with startup_notice.given("reading data/"):
        reporter.begin("importing torch")
        wait_until(lambda: early.getvalue() == "importing torch …\n")
        reporter.end()


def test_a_command_that_has_reported_something_gives_no_startup_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    early = listen(monkeypatch)
    reporter = progress_bars.TerminalReporter()
    with startup_notice.given("reading model/"):
        reporter.debug("model/: opened")
        time.sleep(0.15)
        assert early.getvalue() == ""
    with startup_notice.given("reading model/"):
        reporter.note("log.csv: read as csv")
        time.sleep(0.15)
    assert early.getvalue() == "log.csv: read as csv\n"


def test_what_a_command_reads_by_its_arguments(tmp_path: Path) -> None:
    given = {"directory": tmp_path, "output": tmp_path, "paths": [tmp_path, tmp_path / "nowhere"], "seed": 3}
    assert startup_notice.inputs(given) == f"reading {tmp_path}, {tmp_path}"


@pytest.mark.parametrize("columns", [20, 30, 200])
def test_a_table_on_a_narrow_terminal_can_be_read(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "width", lambda to_stderr=False: columns)
    names = ["rank", "item", "title", "score", "interest", "because of"]
    rows = [[1, "S1356", "Moon Filter by Kestrel Yard, Twin Pack", 0.4624, "amateur astronomy (0.71)", ""]]
    terminal.table("history", names, rows)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    words = printed.split()
    assert {"Kestrel", "astronomy", "0.4624", "S1356"} <= set(words)
    assert ("because" in words) == (columns == 200)


def task(**fields: Any) -> progress_bars.Task:
    given = {"what": "member 1 of 3, comirec-sa, epoch 4", "total": 12_345, "before": 2_000, "done": 4_000}
    return progress_bars.Task(**{**given, "started": 0.0, **fields})


FIGURES = {"loss": "5.123", "rate": "73,000/s", "valid": "0.1234 (best 0.1240)", "left": "at most 12 min"}


def test_progress_leaves_out_what_has_no_room() -> None:
    wide = progress_bars.line(task(figures=FIGURES), 200, 10.0)
    assert wide.bar >= 20
    assert wide.rest == "4,000/12,345  at most 12 min left  loss 5.123  rate 73,000/s  valid 0.1234 (best 0.1240)"
    usual = progress_bars.line(task(figures=FIGURES), 80, 10.0)
    assert usual == ("member 1 of 3, comirec-sa, epoch 4", 8, "4,000/12,345  at most 12 min left")
    narrow = progress_bars.line(task(figures=FIGURES), 50, 10.0)
    assert narrow == ("member 1 of 3…", 0, "4,000/12,345  at most 12 min left")
    for columns in range(50, 210):
        for figures in ({}, FIGURES):
            name, bar, rest = progress_bars.line(task(figures=figures), columns, 10.0)
            assert len(name) + bar + len(rest) + 4 <= columns + 2 * (not bar)


def test_a_line_of_a_log_fits_a_usual_terminal() -> None:
    alone = progress_bars.log_line(task(what="epoch 4", figures=FIGURES), 10.0)
    assert alone == "epoch 4: 4,000 of 12,345, at most 12 min left, loss 5.123, rate 73,000/s"
    longest = task(what="refit, member 1 of 3, comirec-sa, epoch 30", figures={**FIGURES, "left": "about 12 min"})
    told = progress_bars.log_line(longest, 10.0)
    assert told == "refit, member 1 of 3, comirec-sa, epoch 30: 4,000 of 12,345, about 12 min left"
    assert len(alone) <= 80 and len(told) <= 80
    assert progress_bars.line(longest, 80, 10.0).name == longest.what
    assert progress_bars.log_line(task(total=None), 10.0) == "member 1 of 3, comirec-sa, epoch 4: 10 s"


def test_the_time_left_is_that_of_what_this_run_did() -> None:
    # 2,000 of 10,345 in ten seconds: those that an earlier run did took none of them
    assert progress_bars.line(task(), 80, 10.0).rest == "4,000/12,345  42 s left"
    assert progress_bars.line(task(), 80, 1.0).rest == "4,000/12,345"
    assert progress_bars.line(task(done=2_000), 80, 10.0).rest == "2,000/12,345"
    assert progress_bars.line(task(total=None), 80, 10.0) == ("member 1 of 3, comirec-sa, epoch 4", 0, "10 s")
    assert [duration(seconds) for seconds in (0.4, 89, 200, 9_000, 3e5)] == [
        "0 s",
        "89 s",
        "3 min",
        "2.5 h",
        "3.5 days",
    ]


def test_remarks_on_a_terminal_are_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "30")
    terminal.info("epoch 1: prediction 5.4446  valid NDCG@10 0.2931")
    terminal.next_step("recommend", "/a/long/path/of/a/model", "--all-users", "data with a space")
    assert screen.getvalue() == (
        "epoch 1: prediction 5.4446\n  valid NDCG@10 0.2931\n"
        "next: eimf recommend /a/long/path/of/a/model --all-users 'data with a space'\n"
    )
