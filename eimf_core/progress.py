"""How long work tells that it goes on: core code reports, whoever calls it decides what is shown."""

from __future__ import annotations


class Reporter:
    """Receives progress and remarks; this one drops them all."""

    def begin(self, what: str, total: int | None = None, done: int = 0) -> None:
        """A stretch of work starts, maybe within another.

        Args:
            what: its name.
            total: units of it, where that is known.
            done: units of it that an earlier run has done.
        """

    def advance(self, amount: int = 1, **figures: str) -> None:
        """`amount` units are done; `figures` are shown beside the bar (loss, rate …).

        `left` is the time left in words, in place of what the units tell.
        """

    def end(self) -> None:
        """The stretch of work that began last is over."""

    def note(self, message: str) -> None:
        """A remark, one line."""

    def debug(self, message: str) -> None:
        """Something that those who look for what takes time want to know, one line."""

    def warn(self, message: str) -> None:
        """Something the user should know even when only warnings are wanted, one line."""


class PartReporter(Reporter):
    """Says of which part of a longer work the progress and the remarks are; what is warned of in all parts, once."""

    def __init__(self, reporter: Reporter, part: str, warned: set[str]) -> None:
        """`warned` holds the warnings so far, of all parts."""
        self._reporter, self._part, self._warned = reporter, part, warned

    def begin(self, what: str, total: int | None = None, done: int = 0) -> None:
        self._reporter.begin(f"{self._part}, {what}", total, done)

    def advance(self, amount: int = 1, **figures: str) -> None:
        self._reporter.advance(amount, **figures)

    def end(self) -> None:
        self._reporter.end()

    def note(self, message: str) -> None:
        self._reporter.note(f"{self._part}, {message}")

    def debug(self, message: str) -> None:
        self._reporter.debug(f"{self._part}, {message}")

    def warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._reporter.warn(message)


SILENT = Reporter()
MINUTES, HOURS, DAYS = 90.0, 90 * 60.0, 48 * 3600.0
"""Seconds from which a time is told in minutes, in hours, and in days."""


def duration(seconds: float) -> str:
    """A time in words, as finely as people want to know it: "45 s", "12 min", "3.5 h", "2.5 days"."""
    if seconds < MINUTES:
        return f"{seconds:.0f} s"
    if seconds < HOURS:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < DAYS else f"{seconds / 86400:.1f} days"
