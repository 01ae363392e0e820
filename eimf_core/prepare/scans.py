"""How the rows of one log file are read: SQL for DuckDB, and the same in Python to explain bad rows.

A scan gives a query with the columns user, item, time, rating, event, title, category and status, all
text or null, in file order. DuckDB skips rows whose shape is wrong; rows whose values are wrong come
out as nulls. When there are any, `records` goes through the file once more, slowly, and names file
and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from eimf_core.errors import InputError
from eimf_core.io.jsonl import not_json
from eimf_core.io.sql_text import file, literal, name
from eimf_core.prepare import log_files
from eimf_core.prepare.columns import SCANNED
from eimf_core.prepare.csv_cells import cells_of, shape_problem
from eimf_core.prepare.duckdb_session import library
from eimf_core.prepare.time_parts import PARTED, PARTED_SQL
from eimf_core.prepare.value_parsing import BLANKS, BLANKS_SQL

LONG = 1 << 64
"""Whole numbers from here on are more than the fast reader of JSON can hold."""
WIDE_BLANKS = re.compile(r"[ \t]+")
NOTHING = "NULL::VARCHAR"
HEADER_AGAIN = "is the header again"


@dataclass(frozen=True)
class ParsedRow:
    """One row as the slow reader sees it: `values` by field, or what is wrong with its shape."""

    line: int
    text: str
    values: dict[str, str] | None
    problem: str = ""


class Scan(Protocol):
    """What every way of reading offers. `has` names the fields that this log has."""

    @property
    def has(self) -> frozenset[str]: ...

    @property
    def time_columns(self) -> tuple[str, ...]: ...

    @property
    def guessed_title(self) -> bool: ...

    def query(self, path: Path) -> str: ...

    def records(self, path: Path) -> Iterator[ParsedRow]: ...


def _select_list(expressions: dict[str, str]) -> str:
    return ", ".join(f"{expressions.get(field, NOTHING)} AS {field}" for field in SCANNED)


class _WithFields:
    """A scan of a file with columns, or keys: `fields` says which is which field, `also` further ones of the time.

    `guessed_title`: whether the title is a column that was not named. `status_columns`: the columns of the status.
    """

    fields: dict[str, str]
    also: tuple[str, ...]
    guessed_title: bool
    status_columns: tuple[str, ...]

    @property
    def has(self) -> frozenset[str]:
        return frozenset(self.fields)

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The columns of the time."""
        return (self.fields["time"], *self.also) if "time" in self.fields else ()

    def columns_of(self, field: str) -> tuple[str, ...]:
        """The columns of a field: of time and status there may be several, whose text is joined by `PARTED`."""
        several = {"time": self.time_columns, "status": self.status_columns}.get(field)
        return several or (self.fields[field],)

    def _joined_sql(self, cell: Callable[[str], str]) -> dict[str, str]:
        """SQL for each field; `cell` gives that of a column."""
        found = {}
        for field in self.fields:
            cells = [cell(column) for column in self.columns_of(field)]
            each = ", ".join(f"coalesce({one}, '')" for one in cells)
            found[field] = cells[0] if len(cells) == 1 else f"concat_ws({PARTED_SQL}, {each})"
        return found


@dataclass(frozen=True)
class Delimited(_WithFields):
    """A table: one row a line, `columns` in file order, `fields` says which column is which field.

    `escape`: what stands before a quote within quotes; a second quote where it is empty.
    `instead`: by field the column that counts where that of the field is empty.
    `before`: lines before the first that are no rows, blank ones too, which DuckDB would take for the header.
    `first`: the first line where it had to be decided whether it is a header. `latin`: whether it is ISO-8859-1.
    """

    delimiter: str
    columns: tuple[str, ...]
    fields: dict[str, str]
    header: bool = False
    quote: str = ""
    before: int = 0
    first: str = ""
    escape: str = ""
    instead: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()
    guessed_title: bool = False
    status_columns: tuple[str, ...] = ()
    latin: bool = False

    def query(self, path: Path) -> str:
        cells = self._joined_sql(lambda column: f"c{self.columns.index(column)}")
        for field, column in self.instead:
            cells[field] = f"coalesce(nullif({cells[field]}, ''), c{self.columns.index(column)})"
        return f"SELECT {_select_list(cells)} FROM {self._table(path)}"

    def empty_rows(self, path: Path) -> str:
        """SQL for the number of rows whose cells are all empty, as spreadsheets leave them."""
        cells = ", ".join(f"c{at}" for at in range(len(self.columns)))
        return f"SELECT count(*) FROM {self._table(path)} WHERE trim(concat({cells}), {BLANKS_SQL}) = ''"

    @property
    def header_ids(self) -> dict[str, str]:
        """User and item of a row that is the header again, as in files that were put one behind another."""
        ids = {field: column for field, column in self.fields.items() if field in ("user", "item")}
        return ids if self.header and len(ids) > 1 and "1" not in self.columns[:1] else {}

    def _table(self, path: Path) -> str:
        # by position: a column may have no name, or that of another
        types = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(len(self.columns)))
        encoding = ", encoding = 'latin-1'" if self.latin else ""
        return (
            f"read_csv({file(path)}, auto_detect = false, delim = {literal(self.delimiter)}, "
            f"quote = {literal(self.quote)}, escape = {literal(self.escape or self.quote)}, "
            f"header = {str(self.header).lower()}, compression = '{log_files.compression(path)}', "
            f"skip = {self.before}, columns = {{{types}}}{encoding}, "
            "strict_mode = true, store_rejects = true, rejects_limit = 0)"
        )

    def _rows(self, path: Path) -> Iterator[tuple[int, str, list[str] | None]]:
        width = len(self.columns)
        return cells_of(
            path, self.delimiter, self.quote, escape=self.escape, width=width, before=self.before, latin=self.latin
        )

    def records(self, path: Path) -> Iterator[ParsedRow]:
        positions = {field: [*map(self.columns.index, self.columns_of(field))] for field in self.fields}
        header = self.header_ids
        for number, (line, text, cells) in enumerate(self._rows(path)):
            if number == 0 and self.header:
                continue
            if cells is None or len(cells) != len(self.columns):
                yield ParsedRow(line, text, None, shape_problem(cells, len(self.columns)))
            else:
                values = {field: PARTED.join(cells[at] for at in of) for field, of in positions.items()}
                for field, column in self.instead:
                    values[field] = values[field] or cells[self.columns.index(column)]
                again = bool(header) and all(values[field].strip(BLANKS) == name for field, name in header.items())
                yield ParsedRow(line, text, None, HEADER_AGAIN) if again else ParsedRow(line, text, values)


@dataclass(frozen=True)
class UserLines:
    """One line a user: the id, then the items in time order, separated by blanks or tabs.

    `first`: the first line where it had to be decided whether it is data. `width`: how many words a line has
    to have; 0 for two or more. `before`: lines before the first that are no rows.
    """

    first: str = ""
    width: int = 0
    before: int = 0
    header = False
    has: frozenset[str] = frozenset({"user", "item"})
    time_columns: tuple[str, ...] = ()
    guessed_title: bool = False

    def query(self, path: Path) -> str:
        bad_row = f"len(parts) <> {self.width}" if self.width else "len(parts) = 1"
        selected = _select_list(
            {"user": "parts[1]", "item": f"unnest(CASE WHEN {bad_row} THEN [NULL] ELSE parts[2:] END)"}
        )
        words = f"string_split_regex(trim(line, E' \\t\\r'), '{WIDE_BLANKS.pattern}')"
        return f"SELECT {selected} FROM (SELECT {words} AS parts FROM {log_files.text_lines(path, self.before)})"

    def records(self, path: Path) -> Iterator[ParsedRow]:
        for number, line in log_files.lines(path, before=self.before, latin=False):
            user, *items = WIDE_BLANKS.split(line.strip(" \t\r"))
            if self.width and len(items) + 1 != self.width:
                yield ParsedRow(number, line, None, f"has {len(items) + 1} words, expected {self.width}")
                continue
            for item in items or [""]:
                yield ParsedRow(number, line, {"user": user, "item": item})


@dataclass(frozen=True)
class JsonLines(_WithFields):
    """One JSON object a line; `fields` says which key is which field, `before` how many lines are none."""

    fields: dict[str, str]
    before: int = 0
    also: tuple[str, ...] = ()
    guessed_title: bool = False
    status_columns: tuple[str, ...] = ()

    def query(self, path: Path) -> str:
        wanted = [*self.fields.values(), *self.also, *self.status_columns]
        keys = ", ".join(literal(f'$."{key}"') for key in wanted)
        cells = self._joined_sql(lambda key: f"cells[{wanted.index(key) + 1}]")
        # a line that is no JSON gives nulls and is explained later
        return (
            f"SELECT {_select_list(cells)} FROM (SELECT TRY(json_extract_string(line, [{keys}])) AS cells "
            f"FROM {log_files.text_lines(path, self.before)})"
        )

    def records(self, path: Path) -> Iterator[ParsedRow]:
        for number, line in log_files.lines(path, before=self.before, latin=False):
            try:
                row = json_of(line)
            except ValueError as error:
                yield ParsedRow(number, line, None, not_json(error))
                continue
            if not isinstance(row, dict):
                yield ParsedRow(number, line, None, "is not a JSON object")
                continue
            values = {field: [text_of(row.get(key)) for key in self.columns_of(field)] for field in self.fields}
            yield ParsedRow(number, line, {field: PARTED.join(texts) for field, texts in values.items()})


def json_of(line: str) -> Any:
    """What a line of JSON holds, as DuckDB has it: NaN is allowed, long numbers stay whole; ValueError for none."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise error from None
    values = found.values() if isinstance(found, dict) else ()
    return json.loads(line) if any(isinstance(value, float) and abs(value) >= LONG for value in values) else found


def text_of(value: Any) -> str:
    """A value of a JSON object as text, as DuckDB gives it; empty for null."""
    if value is None or isinstance(value, str):
        return value or ""
    if (isinstance(value, int) and abs(value) >= LONG) or value != value:
        return str(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # nested deeper than orjson writes: neither an id nor a time, whatever it holds
        return "{…}" if isinstance(value, dict) else "[…]"


@dataclass(frozen=True)
class Parquet(_WithFields):
    """A Parquet file; `fields` says which column is which field, `timestamps` which columns are of a type for times."""

    fields: dict[str, str]
    timestamps: frozenset[str] = frozenset()
    also: tuple[str, ...] = ()
    guessed_title: bool = False
    status_columns: tuple[str, ...] = ()

    def query(self, path: Path) -> str:
        # the text of a date can be put together with that of a clock
        epochs = frozenset() if self.also else self.timestamps
        cells = self._joined_sql(
            lambda column: f"{f'epoch({name(column)})' if column in epochs else name(column)}::VARCHAR"
        )
        return f"SELECT {_select_list(cells)} FROM read_parquet({file(path)})"

    def records(self, path: Path) -> Iterator[ParsedRow]:
        """`line` is the number of the row."""
        duckdb = library()

        number = 0
        try:
            with duckdb.connect() as connection:
                connection.execute(self.query(path))
                while rows := connection.fetchmany(10_000):
                    for row in rows:
                        number += 1
                        cells = zip(SCANNED, row, strict=True)
                        values = {field: value or "" for field, value in cells if field in self.fields}
                        yield ParsedRow(number, orjson.dumps(values).decode(), values)
        except duckdb.Error as error:
            raise InputError(f"cannot be read ({str(error).splitlines()[0]})", file=path) from None
