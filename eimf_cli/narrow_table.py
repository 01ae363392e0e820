"""How wide the columns of a table are. A table that does not fit a narrow terminal has a few lines a row instead, each
with the name of a column and its value."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

WIDEST_WORD = 12
"""Characters of a word that a column keeps whole; longer ones may be folded."""
GAP = 2


def widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Characters of each column of a table side by side, the widest made narrower until all fit.

    Args:
        columns: their names.
        rows: their cells.
        width: columns of the terminal.

    Returns:
        One for each column; None where there is no room for the words of each.
    """
    from rich.cells import cell_len

    cells = [[name, *(row[at] for row in rows)] for at, name in enumerate(columns)]
    found = [max(map(cell_len, column)) for column in cells]
    least = [min(max(map(cell_len, " ".join(column).split()), default=0), WIDEST_WORD) for column in cells]
    room = width - (GAP + 1) * len(columns) - 1
    if sum(least) > room:
        return None
    while sum(found) > room:
        at = max((at for at in range(len(found)) if found[at] > least[at]), key=lambda at: found[at])
        found[at] -= 1
    return found


def lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The rows below each other, with a blank line between; cells without content are left out.

    Args:
        columns: their names.
        rows: their cells.
        width: columns of the terminal.

    Yields:
        Lines of text.
    """
    for number, row in enumerate(rows):
        if number:
            yield ""
        for name, cell in zip(columns, row, strict=True):
            if cell.strip():
                yield from textwrap.wrap(f"{name}: {cell}" if name else cell, max(width, 2), subsequent_indent=" ")
