"""Item text from tables, JSON lines and Parquet, whose columns are found by name or told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from eimf_core import jsonl
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.duckdb_session import file, library, name
from eimf_core.prepare.formats.amazon import first_object
from eimf_core.prepare.formats.base import BadRow, ItemFormat
from eimf_core.prepare.formats.tables import IN_LOG_IF_TOLD, find, header_of, is_table, json_keys, parquet_columns
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import split_categories, strings_in
from eimf_core.prepare.row_cells import cells_of, shape_of
from eimf_core.prepare.scans import json_of, text_of
from eimf_core.records import Item

FIELDS = ("item", "title", "category", "text")


def recognise(source: Source, config: PrepareConfig) -> ItemFormat:
    """How an item file of no published set is read; its name says the columns."""
    if not source.parquet and _is_item_lines(source):
        return ItemFormat("Item lines", _is_item_lines, _read_item_lines)
    for kind in TABLES:
        if kind.matches(source):
            fields = _fields(kind, source, config)
            said = ", ".join(f"{field} {column}" for field, column in fields.items())
            return replace(kind, name=f"{kind.name} (columns: {said})", warning=_untitled(kind, source, fields))
    raise InputError(
        "is no item file that is recognised; expected Item lines, or a table, JSON lines or Parquet with an item and "
        "a title column",
        file=source.name,
    )


def _untitled(kind: ItemFormat, source: Source, fields: dict[str, str]) -> str:
    """What to say of a table whose titles are not found."""
    if "title" in fields:
        return ""
    assert kind.columns is not None
    return f"no column is recognised as the title among {', '.join(kind.columns(source))}; name it with --title-column"


def check_told(config: PrepareConfig, in_log: frozenset[str], described: Sequence[tuple[Source, ItemFormat]]) -> None:
    """ConfigError when a column of item text is told that neither the log nor an item table has."""
    for field in IN_LOG_IF_TOLD:
        told = getattr(config, f"{field}_column")
        tables = (kind.columns(source) for source, kind in described if kind.columns)
        if told and field not in in_log and not any(told in columns for columns in tables):
            raise ConfigError(f"--{field}-column: neither the log nor an item table has a column '{told}'")


def _fields(kind: ItemFormat, source: Source, config: PrepareConfig) -> dict[str, str]:
    """Which column is which field; one that is told may be the log's alone."""
    assert kind.columns is not None
    columns = kind.columns(source)
    found = {}
    for field in FIELDS:
        told = getattr(config, f"{field}_column", None)
        column = told if told in columns else find(columns, field, None, source.name)
        if column is not None:
            found[field] = column
    if "item" not in found:
        raise InputError(
            f"no column is recognised as the item among {', '.join(columns)}; name it with --item-column",
            file=source.name,
        )
    return found


def _item(values: dict[str, Any]) -> Item:
    """An item; titles, categories and text may be lists, of any nesting."""
    category = values.get("category")
    return Item(
        item=text_of(values["item"]),
        title=_words(values.get("title")),
        categories=split_categories(category) if isinstance(category, str) else strings_in(category or []),
        text=_words(values.get("text")),
    )


def _words(value: Any) -> str:
    return " ".join(strings_in(value)) if isinstance(value, list | dict) else text_of(value)


def _read_table(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    delimiter, columns, _ = header_of(source, PrepareConfig())
    places = {field: columns.index(column) for field, column in _fields(TABLE, source, config).items()}
    for number, (line, text, cells) in enumerate(cells_of(source.path, delimiter, '"')):
        if number == 0:
            continue
        if cells is None or len(cells) != len(columns):
            yield BadRow(InputError(shape_of(cells, len(columns)), file=source.name, line=line), text)
            continue
        yield _item({field: cells[place] for field, place in places.items()})


def _read_item_lines(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, line in log_files.lines(source.path):
        try:
            yield jsonl.decode(line.encode(), Item, file=source.name, number=number)
        except InputError as error:
            yield BadRow(error, line)


def _read_objects(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    fields = _fields(OBJECTS, source, config)
    for number, line in log_files.lines(source.path):
        try:
            row = json_of(line)
        except ValueError as error:
            yield BadRow(InputError(f"not a JSON object ({error})", file=source.name, line=number), line)
            continue
        if not isinstance(row, dict):
            yield BadRow(InputError("is not a JSON object", file=source.name, line=number), line)
            continue
        yield _item({field: row.get(key) for field, key in fields.items()})


def _read_parquet(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    duckdb = library()

    fields = _fields(PARQUET, source, config)
    # the id as the log has it, which is read as text
    picked = [f"{name(column)}{'::VARCHAR' if field == 'item' else ''}" for field, column in fields.items()]
    with duckdb.connect() as connection:
        connection.execute(f"SELECT {', '.join(picked)} FROM read_parquet({file(source.path)})")
        while rows := connection.fetchmany(10_000):
            for row in rows:
                yield _item(dict(zip(fields, row, strict=True)))


def _is_item_lines(source: Source) -> bool:
    try:
        msgspec.convert(first_object(source), type=Item)
    except msgspec.ValidationError:
        return False
    return True


TABLE = ItemFormat(
    "an item table",
    is_table,
    _read_table,
    lambda source: header_of(source, PrepareConfig())[1],
)
OBJECTS = ItemFormat("JSON lines of items", lambda source: bool(first_object(source)), _read_objects, json_keys)
PARQUET = ItemFormat(
    "a Parquet table of items",
    lambda source: source.parquet,
    _read_parquet,
    lambda source: tuple(parquet_columns(source)),
)
TABLES = (PARQUET, OBJECTS, TABLE)
