"""A reporter that keeps what it is warned of."""

from __future__ import annotations

from eimf_core.progress import Reporter


class Listening(Reporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)
