"""What a terminal is left like: no bar and a visible cursor, however a command ends."""

from __future__ import annotations

import io
import sys

import pytest

from eimf_cli import exit_codes, terminal

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
