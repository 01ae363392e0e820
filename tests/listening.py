"""A reporter that keeps what it is told."""

from __future__ import annotations

from eimf_core.progress import Reporter


class Listening(Reporter):
    """`notes` and `warnings` in the order they came."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    @property
    def others(self) -> list[str]:
        """The warnings that are not of items without text, which most small logs of tests have."""
        return [words for words in self.warnings if "have no text" not in words]

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)
