"""Tables such as CSV and TSV: logs and item tables whose columns are recognised by name or named."""

from __future__ import annotations

from collections.abc import Iterator

from eimf_core.errors import InputError
from eimf_core.prepare.columns import (
    COLUMN_OPTIONS,
    FIELDS,
    ITEM_FIELDS,
    TEXT_FIELDS,
    item_columns,
    log_columns,
    named_column,
)
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.csv_cells import escape_of
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, table_rows
from eimf_core.prepare.formats.item_values import item_of
from eimf_core.prepare.header import delimiter_of, header_of, numbered, quote_of
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import Delimited
from eimf_core.records import Item


def _is_table(source: Source) -> bool:
    """Whether the first line looks like the header of a table."""
    return delimiter_of(source) in source.first and not source.first.startswith(("{", "["))


def _scan(source: Source, config: PrepareConfig) -> Delimited:
    """The columns of a table with a header, or with columns named by number."""
    named = {field: name for field in FIELDS if field not in TEXT_FIELDS and (name := named_column(config, field))}
    delimiter, columns, header = header_of(source, named, config.header)
    # only blanks and tabs: it may be no table at all
    advice = ", or say --format user-lines if each line is what a user did" if delimiter in " \t" else ""
    fields = log_columns(columns, config, source.name, line=source.before + 1, advice=advice)
    for column in fields.values():
        if columns.count(column) > 1:
            raise InputError(f"has two columns '{column}'", file=source.name, line=source.before + 1)
    first = source.first if columns == numbered(len(columns)) else ""
    quote = quote_of(source, delimiter)
    escape = escape_of(source.head, delimiter, quote)
    return Delimited(delimiter, columns, fields, header, quote, source.before, first, escape)


def _item_header(source: Source, config: PrepareConfig) -> tuple[str, tuple[str, ...], bool]:
    """As `header_of`; a first line that may be data is taken for it: a header is no item of the log."""
    named = {field: name for field in ITEM_FIELDS if (name := getattr(config, f"items_{field}_column")) is not None}
    try:
        return header_of(source, named)
    except InputError:
        return header_of(source, named, "no")


def _item_columns(source: Source, config: PrepareConfig) -> tuple[str, ...]:
    return _item_header(source, config)[1]


def _read_items(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    delimiter, columns, header = _item_header(source, config)
    positions = {field: columns.index(name) for field, name in item_columns(columns, config, source.name).items()}
    quote = quote_of(source, delimiter)
    escape = escape_of(source.head, delimiter, quote)
    for row in table_rows(source, delimiter, quote, len(columns), header=header, escape=escape):
        if isinstance(row, BadRow):
            yield row
        else:
            yield item_of({field: row[at] for field, at in positions.items()})


LOGS = (
    LogFormat(
        "csv",
        "CSV or TSV (comma, tab, semicolon, bar, blanks), columns likewise; without a header --user-column 1 and so on",
        _is_table,
        _scan,
        options=(*COLUMN_OPTIONS, "header", "separator", "skip_lines"),
        table=True,
    ),
)
ITEMS = (ItemFormat("an item table", _is_table, _read_items, _item_columns),)
