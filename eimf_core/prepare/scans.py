"""How the rows of one log file are read: SQL for the engine, and the same in Python to explain bad rows.

A scan gives a query with the columns user, item, time, rating and event, all text or null, in file
order. The engine skips rows whose shape is wrong; rows whose values are wrong come out as nulls.
When there are any, `records` goes through the file once more, slowly, and names file and line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson

from eimf_core.prepare import sources
from eimf_core.prepare.engine import literal, name

FIELDS = ("user", "item", "time", "rating", "event")
LONGEST_LINE = 16 << 20
"""Bytes of the longest line that is read: a user's whole history may stand on one."""
BUFFER = 2 * LONGEST_LINE


@dataclass(frozen=True)
class Record:
    """One row as the slow reader sees it: `values` by field, or what is wrong with its shape."""

    line: int
    text: str
    values: dict[str, str] | None
    problem: str = ""


class Scan(Protocol):
    """What every way of reading offers. `has` names the fields that this log has."""

    @property
    def has(self) -> frozenset[str]: ...

    def query(self, path: Path) -> str: ...

    def records(self, path: Path) -> Iterator[Record]: ...


@dataclass(frozen=True)
class Delimited:
    """A table: one row a line, `columns` in file order, `fields` says which column is which field."""

    delimiter: str
    columns: tuple[str, ...]
    fields: dict[str, str]
    header: bool = False
    quote: str = ""
    has: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "has", frozenset(self.fields))

    def query(self, path: Path) -> str:
        picked = ", ".join(
            f"{name(self.fields[field])} AS {field}" if field in self.fields else f"NULL::VARCHAR AS {field}"
            for field in FIELDS
        )
        types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in self.columns)
        return (
            f"SELECT {picked} FROM read_csv({literal(path)}, auto_detect = false, delim = {literal(self.delimiter)}, "
            f"quote = {literal(self.quote)}, escape = {literal(self.quote)}, header = {str(self.header).lower()}, "
            f"columns = {{{types}}}, strict_mode = false, store_rejects = true, rejects_limit = 0)"
        )

    def records(self, path: Path) -> Iterator[Record]:
        places = {field: self.columns.index(column) for field, column in self.fields.items()}
        for number, (line, text, cells) in enumerate(_cells(path, self.delimiter, self.quote)):
            if number == 0 and self.header:
                continue
            if cells is None:
                yield Record(line, text, None, "has a quote that does not end")
            elif len(cells) != len(self.columns):
                yield Record(line, text, None, f"has {len(cells)} columns, expected {len(self.columns)}")
            else:
                yield Record(line, text, {field: cells[place] for field, place in places.items()})


def _cells(path: Path, delimiter: str, quote: str) -> Iterator[tuple[int, str, list[str] | None]]:
    """First line, text and cells of each row that is not blank; None for a row that csv cannot read."""
    if len(delimiter) > 1 or not quote:
        for number, line in sources.lines(path):
            yield number, line, line.split(delimiter)
        return
    csv.field_size_limit(LONGEST_LINE)
    kept: list[tuple[int, str]] = []

    def feed() -> Iterator[str]:
        for number, line in sources.lines(path):
            kept.append((number, line))
            yield line + "\n"

    rows = csv.reader(feed(), delimiter=delimiter, quotechar=quote, strict=True)
    while True:
        kept.clear()
        try:
            cells: list[str] | None = next(rows)
        except StopIteration:
            return
        except csv.Error:
            cells = None
        yield kept[0][0], "\n".join(line for _, line in kept), cells


@dataclass(frozen=True)
class UserLines:
    """One line a user: the id, then the items in time order, separated by blanks or tabs."""

    has: frozenset[str] = frozenset({"user", "item"})

    def query(self, path: Path) -> str:
        return (
            "SELECT parts[1] AS user, unnest(CASE WHEN len(parts) = 1 THEN [NULL] ELSE parts[2:] END) AS item, "
            "NULL::VARCHAR AS time, NULL::VARCHAR AS rating, NULL::VARCHAR AS event FROM ("
            f"SELECT string_split_regex(trim(line, E' \\t\\r'), '[ \\t]+') AS parts FROM {text_lines(path)})"
        )

    def records(self, path: Path) -> Iterator[Record]:
        for number, line in sources.lines(path):
            user, *items = line.split()
            for item in items or [""]:
                yield Record(number, line, {"user": user, "item": item})


def text_lines(path: Path) -> str:
    """SQL for the lines of a file that are not blank, as the column `line`, in file order."""
    return (
        f"(SELECT line FROM read_csv({literal(path)}, auto_detect = false, header = false, delim = E'\\x01', "
        f"quote = '', escape = '', columns = {{'line': 'VARCHAR'}}, strict_mode = false, store_rejects = true, "
        f"rejects_limit = 0, max_line_size = {LONGEST_LINE}, buffer_size = {BUFFER}) "
        f"WHERE trim(line, E' \\t\\r') <> '')"
    )


@dataclass(frozen=True)
class JsonLines:
    """One JSON object a line; `fields` says which key is which field."""

    fields: dict[str, str]
    has: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "has", frozenset(self.fields))

    def query(self, path: Path) -> str:
        keys = ", ".join(literal(f'$."{key}"') for key in self.fields.values())
        order = list(self.fields)
        picked = ", ".join(
            f"cells[{order.index(field) + 1}] AS {field}" if field in order else f"NULL::VARCHAR AS {field}"
            for field in FIELDS
        )
        # a line that is no JSON gives nulls and is explained later
        return (
            f"SELECT {picked} FROM (SELECT TRY(json_extract_string(line, [{keys}])) AS cells FROM {text_lines(path)})"
        )

    def records(self, path: Path) -> Iterator[Record]:
        for number, line in sources.lines(path):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield Record(number, line, None, f"not a JSON object ({error})")
                continue
            if not isinstance(row, dict):
                yield Record(number, line, None, "is not a JSON object")
                continue
            values = {field: row.get(key) for field, key in self.fields.items()}
            yield Record(number, line, {field: "" if value is None else str(value) for field, value in values.items()})
