"""What a terminal is left like: no bar and a visible cursor, however a command ends."""

from __future__ import annotations

import io
import sys
import time

import pytest

from eimf_cli import exit_codes, terminal


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
    reporter = terminal.TerminalReporter()
    reporter.begin("reading", 3)
    reporter.begin("a part of it")
    assert HIDE in screen.getvalue() and SHOW not in screen.getvalue()
    exit_codes.report(exit_codes.Outcome(3, "log.csv:3: is wrong"))
    written = screen.getvalue()
    assert written.index(SHOW) < written.index("eimf: log.csv:3: is wrong")
    assert written.endswith("is wrong\n")


def test_long_work_off_a_terminal_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(terminal, "SIGN_OF_LIFE", 0.01)
    reporter = terminal.TerminalReporter()

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
