"""The rows of a table parsed in Python, as DuckDB parses them."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from eimf_core.prepare import log_files

BAD_QUOTE = "has a quote that is not closed, or text behind a closed one"


def shape_problem(cells: list[str] | None, expected: int) -> str:
    """What is wrong with the shape of a row."""
    return BAD_QUOTE if cells is None else f"has {len(cells)} columns, expected {expected}"


def cells_of(
    path: Path, delimiter: str, quote: str, *, before: int = 0, latin: bool = True
) -> Iterator[tuple[int, str, list[str] | None]]:
    """First line, text and cells of each row that is not blank; None for a row that csv cannot read.

    `before` and `latin`: as `log_files.lines` has them.
    """
    if len(delimiter) > 1 or not quote:
        for number, line in log_files.lines(path, before=before, latin=latin):
            yield number, line, line.split(delimiter)
        return
    csv.field_size_limit(log_files.LONGEST_LINE)
    unread: deque[tuple[int, str]] = deque()
    kept: list[tuple[int, str]] = []
    rest = log_files.lines(path, before=before, latin=latin)

    def feed() -> Iterator[str]:
        while (found := unread.popleft() if unread else next(rest, None)) is not None:
            kept.append(found)
            yield found[1] + "\n"

    # DuckDB, too, passes over blanks around quotes
    dialect = {"delimiter": delimiter, "quotechar": quote, "strict": True, "skipinitialspace": True}
    rows = csv.reader(feed(), **dialect)  # type: ignore[arg-type]
    while True:
        kept.clear()
        try:
            cells: list[str] | None = next(rows)
        except StopIteration:
            return
        except csv.Error:
            cells = _without_blanks(kept[0][1], delimiter, quote)
            # a quote that is not closed spoils its own line only
            unread.extendleft(reversed(kept[1:]))
            del kept[1:]
            rows = csv.reader(feed(), **dialect)  # type: ignore[arg-type]
        yield kept[0][0], "\n".join(line for _, line in kept), cells


def _without_blanks(line: str, delimiter: str, quote: str) -> list[str] | None:
    """The cells of a line with blanks between closing quotes and delimiters; None when there is more amiss."""
    line = re.sub(f"{re.escape(quote)}[ \t]+(?={re.escape(delimiter)}|$)", quote, line)
    try:
        return next(csv.reader([line], delimiter=delimiter, quotechar=quote, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
