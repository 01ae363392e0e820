"""How long work tells that it goes on: core code reports, whoever calls it decides what is shown."""

from __future__ import annotations


class Reporter:
    """Receives progress and remarks; this one drops them all."""

    def begin(self, what: str, total: int | None = None) -> None:
        """A stretch of work starts, maybe within another; `total` units are ahead if that is known."""

    def advance(self, amount: int = 1, **figures: str) -> None:
        """`amount` units are done; `figures` are shown beside the bar (loss, rate …)."""

    def end(self) -> None:
        """The stretch of work that began last is over."""

    def note(self, message: str) -> None:
        """A remark, one line."""

    def debug(self, message: str) -> None:
        """Something that those who look for what takes time want to know, one line."""

    def warn(self, message: str) -> None:
        """Something the user should know even when only warnings are wanted, one line."""


SILENT = Reporter()
