"""Parquet: logs and item tables whose columns are recognised by name or named."""

from __future__ import annotations

from collections.abc import Iterator

from eimf_core.errors import InputError
from eimf_core.io.sql_text import file, name
from eimf_core.prepare.columns import COLUMN_OPTIONS, item_columns, log_columns
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.duckdb_session import library, reading
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat
from eimf_core.prepare.formats.item_values import item_of
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import Parquet
from eimf_core.records import Item


def _types(source: Source) -> dict[str, str]:
    """The type of each column."""
    duckdb = library()

    try:
        with duckdb.connect() as connection:
            described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({file(source.path)})").fetchall()
    except duckdb.Error as error:
        why = str(error).splitlines()[0]
        raise InputError(
            f"is not whole ({why}); the file is damaged or cut off, get it again", file=source.name
        ) from None
    return {row[0]: row[1] for row in described}


def _columns(source: Source, config: PrepareConfig) -> tuple[str, ...]:
    return tuple(_types(source))


def _scan(source: Source, config: PrepareConfig) -> Parquet:
    types = _types(source)
    with source.advised():
        fields = log_columns(list(types), config, source.name, line=None)
    for field in ("user", "item"):
        if types[fields[field]].endswith("]") or types[fields[field]].startswith(("STRUCT", "MAP")):
            raise InputError(
                "holds lists or objects; expected one interaction a row", file=source.name, field=fields[field]
            )
    timestamps = {column for column in fields.values() if types[column].startswith(("TIMESTAMP", "DATE"))}
    return Parquet(fields, frozenset(timestamps))


def _read_items(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    fields = item_columns(_columns(source, config), config, source.name)
    # the id as the log has it, which is read as text
    selected = [f"{name(column)}{'::VARCHAR' if field == 'item' else ''}" for field, column in fields.items()]
    with library().connect() as connection, reading(source.name):
        connection.execute(f"SELECT {', '.join(selected)} FROM read_parquet({file(source.path)})")
        while rows := connection.fetchmany(10_000):
            for row in rows:
                yield item_of(dict(zip(fields, row, strict=True)))


LOGS = (
    LogFormat(
        "parquet",
        "Parquet; columns likewise",
        lambda source: True,
        _scan,
        options=COLUMN_OPTIONS,
        table=True,
        parquet=True,
    ),
)
ITEMS = (ItemFormat("a Parquet table of items", lambda source: True, _read_items, _columns, parquet=True),)
