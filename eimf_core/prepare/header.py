"""The first line of a table: its delimiter, the names of its columns, and whether it is a header or data."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence

from eimf_core.errors import InputError
from eimf_core.prepare.columns import FIELDS, KNOWN_NAMES, TEXT_FIELDS, named_column, normalised
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.value_parsing import is_number, parse_time

DELIMITERS = (",", "\t", ";", "|")


def delimiter_of(source: Source) -> str:
    """The delimiter that occurs most in the first line; a blank where all lines have as many as it."""
    found = max(DELIMITERS, key=source.first.count)
    if found not in source.first and len({line.strip().count(" ") for line in source.head}) == 1:
        return " "
    return found


def header_of(source: Source, config: PrepareConfig) -> tuple[str, tuple[str, ...], bool]:
    """Delimiter and column names of a table, and whether it has a header.

    Columns that are named by number are called 1, 2, …, whatever numbers the first row holds; only
    then there may be no header. A number that is no position (such as 0) can only be a name.
    """
    delimiter = delimiter_of(source)
    first = source.first if delimiter == " " else source.head[0]
    names = tuple(cell.strip() for cell in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True)))
    named = {field: named_column(config, field) for field in FIELDS if field not in TEXT_FIELDS}
    numbers = {column for column in named.values() if column}
    positions = numbered(len(names))
    if (
        numbers
        and all(column.isdigit() for column in numbers)
        and (numbers <= set(positions) or not numbers <= set(names))
    ):
        header = {"yes": True, "no": False}.get(config.header)
        if header is None:
            rows = [*csv.reader(source.head, delimiter=delimiter)]
            header = is_header(rows, {field: int(column) - 1 for field, column in named.items() if column})
        if header is None:
            raise unclear_header(source)
        return delimiter, positions, header
    return delimiter, names if config.header != "no" else positions, config.header != "no"


def numbered(count: int) -> tuple[str, ...]:
    """Names of so many columns that have none: their numbers, from 1."""
    return tuple(str(number) for number in range(1, count + 1))


def unclear_header(source: Source) -> InputError:
    """The error for a first line that may be the header or the first row."""
    return InputError(
        f"may be a header or data ({source.first}); say --header yes or --header no",
        file=source.name,
        line=source.blank + 1,
    )


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
    for field in ("time", "rating"):
        if cells.get(field):
            return parse_time(cells[field]) is None
    for cell, column in zip(first, columns, strict=True):
        if cell and any(column) and all(is_number(value) for value in column if value):
            return not is_number(cell)
    for cell, column in zip(first, columns, strict=True):
        if cell and (cell in column or (any(map(str.isdigit, cell)) and _shape(cell) in map(_shape, column))):
            return False
    return None


def _shape(cell: str) -> str:
    """A cell with `a` for letters and `9` for digits."""
    return "".join("9" if char.isdigit() else "a" if char.isalpha() else char for char in cell)
