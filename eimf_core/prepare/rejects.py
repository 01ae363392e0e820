"""Bad rows: the first is an error, or each is counted by reason and written to a file of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import IO

import orjson

from eimf_core.errors import InputError
from eimf_core.prepare import log_files
from eimf_core.text_cleaning import shortened

QUOTE_START, QUOTE_END = " is '", "', "
"""Between these a reason quotes a value."""
LONGEST_REASON, LONGEST_TEXT = 300, 10_000
"""Characters of a reason and of a row that are written; file and line say where all of it stands."""
SKIP = "--on-error skip leaves such rows out"


class Rejects:
    """Where bad rows go; without a path the first is raised. `reasons` counts them without the values they quote.

    `with_text`: whether the rows themselves are written, which hold the users' ids.
    """

    def __init__(self, path: Path | None = None, *, with_text: bool = True) -> None:
        self._path = path
        self._with_text = with_text
        self._stream: IO[bytes] | None = None
        self.reasons: Counter[str] = Counter()

    def add(self, file: str, line: int, reason: str, text: str, *, advice: str = SKIP) -> None:
        """Write a bad row.

        Args:
            file, line: where it stands.
            reason: what is wrong, for people.
            text: the row.
            advice: the end of the error.

        Raises:
            InputError: there is no path.
        """
        if self._path is None:
            raise InputError(f"{reason}; {advice}" if advice else reason, file=file, line=line)
        if self._stream is None:
            self._stream = open(self._path, "ab")  # noqa: SIM115 (`close` sees to it)
        if not log_files.is_utf8(text):
            # bytes that are no UTF-8 are shown as ISO-8859-1
            text = text.encode("utf-8", "surrogateescape").decode("iso-8859-1")
        row = {"file": file, "line": line, "reason": shortened(reason, LONGEST_REASON)}
        if self._with_text:
            row["text"] = shortened(text, LONGEST_TEXT)
        self._stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self.reasons[shortened(_unquoted(reason).split(" (")[0], LONGEST_REASON)] += 1

    def add_error(self, error: InputError, text: str) -> None:
        """The same for an error that names file, line and field."""
        reason = f"field '{error.field}': {error.problem}" if error.field else error.problem
        self.add(str(error.file), error.line or 0, reason, text)

    def close(self) -> None:
        """Complete the file, if there is any."""
        if self._stream is not None:
            self._stream.close()


def _unquoted(reason: str) -> str:
    """A reason without the value that it quotes."""
    head, start, rest = reason.partition(QUOTE_START)
    _, end, tail = rest.rpartition(QUOTE_END)
    return f"{head} {tail}" if start and end else reason
