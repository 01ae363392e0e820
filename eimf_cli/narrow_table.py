"""Tables that do not fit a narrow terminal: a row is a few lines, each with the name of a column and its value."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

WIDEST_WORD = 12
"""Characters of a word that a column keeps whole; longer ones may be folded."""
GAP = 2


def fits(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether a table side by side leaves room for the words of each column."""
    cells = [[name, *(row[at] for row in rows)] for at, name in enumerate(columns)]
    needed = (max(min(_longest(cell), WIDEST_WORD) for cell in column) for column in cells)
    return sum(needed) + (GAP + 1) * len(columns) <= width


def _longest(text: str) -> int:
    return max(map(len, text.split()), default=0)


def lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The rows below each other, with a blank line between; cells without content are left out."""
    for number, row in enumerate(rows):
        if number:
            yield ""
        for name, cell in zip(columns, row, strict=True):
            if cell.strip():
                yield from textwrap.wrap(f"{name}: {cell}" if name else cell, max(width, 2), subsequent_indent=" ")
