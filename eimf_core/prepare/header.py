"""The first line of a table: its delimiter, the names of its columns, and whether it is a header or data."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache

from eimf_core.errors import InputError
from eimf_core.prepare.columns import KNOWN_NAMES, normalised, recognised_column
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import one_line
from eimf_core.prepare.time_forms import is_time
from eimf_core.prepare.value_parsing import is_missing, is_number
from eimf_core.text_cleaning import shortened_at_word

DELIMITERS = (",", "\t", ";", "|")
RARE_DELIMITERS = ("::", "||", "\x01", "\x1e", "\x1f", "~", "^")
"""Delimiters that are one only where most lines have as many as the first."""
AGREEING_LINES, QUOTED_LINES = 100, 5
"""Lines that a delimiter and a quote are held against."""


@lru_cache(maxsize=16)
def delimiter_of(source: Source) -> str:
    """What separates the columns of a table.

    What the file or the user says, else what parts most lines into as many cells as the first and into most; a
    blank where nothing else parts the first line and all lines have as many.
    """
    if source.separator:
        return source.separator
    found = [each for each in (*DELIMITERS, *RARE_DELIMITERS) if each in source.first]
    agreeing = [each for each in found if _agree(source.head[:AGREEING_LINES], each)]
    plain = agreeing or [each for each in found if each in DELIMITERS]
    if "||" in plain and "|" not in source.first.replace("||", ""):
        plain.remove("|")
    if plain:
        return max(plain, key=source.first.count)
    if len({line.strip().count(" ") for line in source.head}) == 1:
        return " "
    return DELIMITERS[0]


def separates(delimiter: str, source: Source) -> bool:
    """Whether a delimiter parts most lines of a table into as many cells as the first."""
    return delimiter in source.first and _agree(source.head[:AGREEING_LINES], delimiter)


def _agree(lines: Sequence[str], delimiter: str) -> bool:
    """Whether a delimiter parts most lines into as many cells as the first."""
    counts = [len(split_line(line, delimiter)) for line in lines]
    return 2 * counts.count(counts[0]) > len(counts)


def split_line(line: str, delimiter: str, quote: str = '"') -> list[str]:
    """The cells of a line without blanks around them.

    Args:
        line: of a table.
        delimiter: between cells; one of several characters knows no quotes.
        quote: around cells that hold a delimiter; empty for none.

    Returns:
        The cells.
    """
    if delimiter == " ":
        line = line.strip()
    if len(delimiter) > 1 or not quote:
        return [cell.strip() for cell in line.split(delimiter)]
    found = next(csv.reader([line], delimiter=delimiter, quotechar=quote, skipinitialspace=True), [""])
    return [cell.strip() for cell in found]


def quote_of(source: Source, delimiter: str) -> str:
    """What stands around the cells of a table: ' where it stands around those of the first line, else "."""
    cells = source.first.split(delimiter) if len(delimiter) == 1 else []
    # and around each of the lines behind it, whose cells may hold the delimiter
    quoted = [cell.strip() for cell in (*cells, *source.head[:QUOTED_LINES])]
    single = len(cells) > 1 and all(len(each) > 1 and each[0] == each[-1] == "'" for each in quoted)
    return "'" if single else '"'


def header_of(source: Source, named: Mapping[str, str], header: str = "auto") -> tuple[str, tuple[str, ...], bool]:
    """Delimiter, column names and header of a table.

    Columns that are named by number are called 1, 2, …, whatever numbers the first row holds; only
    then there may be no header. A number that is no position (such as 0) can only be a name.

    Args:
        source: the table.
        named: the columns that the settings name, by field.
        header: yes, no or auto.

    Returns:
        The delimiter, the names of the columns in file order, and whether there is a header.

    Raises:
        InputError: where the first line may be a header or data.
    """
    delimiter = delimiter_of(source)
    quote = quote_of(source, delimiter)
    names = tuple(split_line(source.head[0], delimiter, quote))
    numbers = set(named.values())
    positions = numbered(len(names))
    if (
        numbers
        and all(column.isdigit() for column in numbers)
        and (numbers <= set(positions) or not numbers <= set(names))
    ):
        known = {"yes": True, "no": False}.get(header)
        if known is None:
            rows = [split_line(line, delimiter, quote) for line in source.head]
            known = is_header(rows, {field: int(column) - 1 for field, column in named.items()})
        if known is None:
            raise unclear_header(source)
        return delimiter, positions, known
    return delimiter, names if header != "no" else positions, header != "no"


def numbered(count: int) -> tuple[str, ...]:
    """Names of so many columns that have none: their numbers, from 1."""
    return tuple(str(number) for number in range(1, count + 1))


def unclear_header(source: Source) -> InputError:
    """The error for a first line that may be the header or the first row."""
    return InputError(
        f"may be a header or data ({shortened_at_word(one_line(source.first), 80)}); say --header yes or --header no",
        file=source.name,
        line=source.before + 1,
    )


def names_columns(cells: Sequence[str], fields: Sequence[str]) -> bool:
    """Whether a row names the columns of these fields, wherever they stand."""
    return all(recognised_column(cells, field) is not None for field in fields)


def names_user_or_item(cells: Sequence[str]) -> bool:
    """Whether a first row names the column of the user or of the item, wherever it stands."""
    return any(normalised(cell) in (*KNOWN_NAMES["user"], *KNOWN_NAMES["item"]) for cell in cells)


def is_header(rows: Sequence[Sequence[str]], positions: Mapping[str, int]) -> bool | None:
    """Whether the first row names the columns; None when nothing speaks for it or against it.

    Known names, and words above numbers, speak for a header; numbers, and what stands again in its
    column or looks like what stands there, against it.

    Args:
        rows: the first rows.
        positions: the columns of fields, counted from 0.
    """
    first = [cell.strip() for cell in rows[0]]
    whole = [row for row in rows[1:] if len(row) == len(first)]
    columns = [[row[at].strip() for row in whole] for at in range(len(first))]
    cells = {field: first[at] for field, at in positions.items() if at < len(first)}
    if any(normalised(cell) in KNOWN_NAMES[field] for field, cell in cells.items()):
        return True
    if [cell for cell in first if cell] == [str(at) for at in range(len(first) - first.count(""))]:
        # the numbers that pandas gives to columns without names, or a row
        return None
    if any(cell and is_missing(cell) for cell in first):
        # a row with a value that is not there, or columns that are called so
        return None
    votes = {not is_time(cells[field]) for field in ("time", "rating") if cells.get(field)}
    votes |= {
        not is_number(cell)
        for cell, column in zip(first, columns, strict=True)
        if cell and any(column) and all(is_number(value) for value in column if value)
    }
    if any(_is_like(cell, column) for cell, column in zip(first, columns, strict=True) if not is_number(cell)):
        votes.add(False)
    return votes.pop() if len(votes) == 1 else None


def _is_like(cell: str, column: Sequence[str]) -> bool:
    """Whether a cell comes again in its column, or holds digits and looks like one there."""
    return bool(cell) and (cell in column or (any(map(str.isdigit, cell)) and _shape(cell) in set(map(_shape, column))))


def _shape(cell: str) -> str:
    """A cell with `a` for letters and `9` for digits."""
    return "".join("9" if char.isdigit() else "a" if char.isalpha() else char for char in cell)
