"""The rows of a table parsed in Python, as DuckDB parses them, and mended where it gives up."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from eimf_core.errors import counted
from eimf_core.io import jsonl
from eimf_core.prepare import log_files

BAD_QUOTE = "has a quote that is not closed, or text behind a closed one"
BACKSLASH = "\\"
_ESCAPED = re.compile(r"\\(.)")


def shape_problem(cells: list[str] | None, expected: int) -> str:
    """What is wrong with the shape of a row."""
    return BAD_QUOTE if cells is None else f"has {counted(len(cells), 'column')}, expected {expected}"


def cells_of(
    path: Path,
    delimiter: str,
    quote: str,
    *,
    escape: str = "",
    width: int = 0,
    before: int = 0,
    latin: bool = True,
) -> Iterator[tuple[int, str, list[str] | None]]:
    """The rows of a table that are not blank.

    A row whose cells are all empty is blank, as spreadsheets leave them.

    Args:
        path, delimiter, quote: the table; without a quote, and with a long delimiter, lines are split as they are.
        escape: what stands before a quote within quotes, where it is no second quote.
        width: how many cells a row has, to mend one whose quotes are odd; 0 where it is not known.
        before, latin: as `log_files.lines` has them.

    Yields:
        Number of its first line, text and cells of a row; None in the place of cells that cannot be read.
    """
    for line, text, cells in _rows(path, delimiter, quote, escape, width, before, latin):
        if cells is None or any(cell.strip() for cell in cells):
            yield line, text, cells


def _rows(
    path: Path, delimiter: str, quote: str, escape: str, width: int, before: int, latin: bool
) -> Iterator[tuple[int, str, list[str] | None]]:
    rest = log_files.lines(path, before=before, latin=latin)
    if len(delimiter) > 1 or not quote:
        for number, line in rest:
            yield number, line, line.split(delimiter)
        return
    csv.field_size_limit(jsonl.LONGEST_LINE)
    unread: deque[tuple[int, str]] = deque()
    kept: list[tuple[int, str]] = []

    def feed() -> Iterator[str]:
        while (found := unread.popleft() if unread else next(rest, None)) is not None:
            kept.append(found)
            yield (_unescaped(found[1]) if escape == BACKSLASH else found[1]) + "\n"

    # DuckDB, too, passes over blanks around quotes
    dialect = {"delimiter": delimiter, "quotechar": quote, "strict": True, "skipinitialspace": True}
    rows = csv.reader(feed(), **dialect)  # type: ignore[arg-type]
    while True:
        kept.clear()
        cells: list[str] | None = None
        try:
            cells = next(rows)
            odd = delimiter == "\t" and len(kept) > 1 and _are_rows([line for _, line in kept], delimiter, width)
        except StopIteration:
            return
        except csv.Error:
            odd = True
        if odd:
            cells = _repaired(kept[0][1], delimiter, quote, width)
            # a quote that is not closed spoils its own line only
            unread.extendleft(reversed(kept[1:]))
            del kept[1:]
            rows = csv.reader(feed(), **dialect)  # type: ignore[arg-type]
        yield kept[0][0], "\n".join(line for _, line in kept), cells


def _are_rows(lines: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether lines that quotes join are rows by themselves: their quotes are text."""
    return all(line.count(delimiter) + 1 == width for line in lines)


def _unescaped(line: str) -> str:
    r"""A line with `\"` as two quotes, and any other character without the backslash before it."""
    if BACKSLASH not in line:
        return line
    return _ESCAPED.sub(lambda found: '""' if found[1] == '"' else found[1], line)


def escape_of(lines: Sequence[str], delimiter: str, quote: str = '"') -> str:
    r"""What stands before a quote within quotes: the backslash where `\"` is there and rows can be read so alone.

    Args:
        lines: the first ones of a table.
        delimiter, quote: as it has them.

    Returns:
        The backslash, or the quote itself, which is doubled then.
    """
    with_backslash = [line for line in lines if f"{BACKSLASH}{quote}" in line]
    if len(delimiter) > 1 or not with_backslash:
        return quote
    plain = any(_parsed(line, delimiter, quote) is None for line in with_backslash)
    return BACKSLASH if plain and all(_parsed(_unescaped(line), delimiter, quote) for line in with_backslash) else quote


def _repaired(line: str, delimiter: str, quote: str, width: int) -> list[str] | None:
    """The cells of a line whose quotes are odd; None when it has no reading of the right width."""
    # blanks between a closing quote and the delimiter
    cells = _parsed(re.sub(f"{re.escape(quote)}[ \t]+(?={re.escape(delimiter)}|$)", quote, line), delimiter, quote)
    if cells is not None:
        return cells
    cells = _parsed(_unescaped(line), delimiter, quote)
    if cells is not None and len(cells) == width:
        return cells
    # text behind a closed quote: the quotes are text; between tabs also one that stands alone
    cells = line.split(delimiter)
    if len(cells) == width and (delimiter == "\t" or not any(cell.count(quote) % 2 for cell in cells)):
        return [_unquoted(cell, quote) for cell in cells]
    return None


def _unquoted(cell: str, quote: str) -> str:
    plain = cell.strip()
    inner = plain[1:-1]
    if len(plain) > 1 and plain[0] == plain[-1] == quote and quote not in inner.replace(2 * quote, ""):
        return inner.replace(2 * quote, quote)
    return cell


def _parsed(line: str, delimiter: str, quote: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=delimiter, quotechar=quote, strict=True, skipinitialspace=True), [])
    except csv.Error:
        return None
