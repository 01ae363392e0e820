"""Tables (CSV, TSV and the like), JSON lines and Parquet, whose columns have to be found or told."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

import msgspec

from eimf_core import jsonl
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.engine import literal
from eimf_core.prepare.formats.amazon import first_object
from eimf_core.prepare.formats.base import ItemFormat, LogFormat
from eimf_core.prepare.scans import FIELDS, Delimited, JsonLines, Parquet, cells_of
from eimf_core.prepare.sources import Source
from eimf_core.prepare.text import split_categories
from eimf_core.records import Item

KNOWN = {
    "user": ("user", "userid", "uid", "customer", "customerid", "visitor", "visitorid", "reviewerid", "memberid"),
    "item": (
        "item", "itemid", "iid", "product", "productid", "parentasin", "asin", "movieid", "articleid", "businessid",
        "bookid", "trackid", "songid", "newsid", "videoid", "sku",
    ),
    "time": ("time", "timestamp", "ts", "date", "datetime", "unixreviewtime", "eventtime", "createdat", "unixtime"),
    "rating": ("rating", "stars", "score", "overall"),
    "event": ("event", "eventtype", "behavior", "behaviour", "behaviortype"),
    "title": ("title", "name", "itemtitle", "itemname", "productname", "producttitle", "movietitle"),
    "category": ("categories", "category", "genres", "genre", "maincategory", "categoryname", "class"),
    "text": ("text", "description"),
}  # fmt: skip
"""Names that columns are recognised by, in lower case without blanks, - and _; the first that is there counts."""
DELIMITERS = (",", "\t", ";", "|")
ITEM_TABLE = "item table"
IN_LOG_IF_TOLD = ("title", "category")
"""Fields of a log that are only read when their column is named: item text usually has a file of its own."""


def find(columns: Sequence[str], field: str, wanted: str | None, file: str) -> str | None:
    """The column of a field: the one that is asked for, or the one whose name says so."""
    if wanted is not None:
        if wanted not in columns:
            raise InputError(f"has no column '{wanted}'; there are {', '.join(columns)}", file=file, line=1)
        return wanted
    simple: dict[str, str] = {}
    for column in columns:
        simple.setdefault(plain(column), column)
    return next((simple[known] for known in KNOWN.get(field, ()) if known in simple), None)


def plain(column: str) -> str:
    """A column's name as `KNOWN` has it; the type of a RecBole column is left out."""
    return "".join(char for char in column.partition(":")[0].lower() if char not in " _-")


def delimiter_of(header: str) -> str:
    """The delimiter that occurs most in the header line."""
    return max(DELIMITERS, key=header.count)


def header_of(source: Source, config: PrepareConfig) -> tuple[str, tuple[str, ...], bool]:
    """Delimiter and column names of a table, and whether it has a header.

    A table has none when the columns are told by number: they are then called 1, 2, …, whatever
    numbers the first row holds. A number that is no place (such as 0) can only be a name.
    """
    delimiter = delimiter_of(source.first)
    names = tuple(cell.strip() for cell in next(csv.reader([source.head[0]], delimiter=delimiter)))
    told = [getattr(config, f"{field}_column") for field in FIELDS if field not in IN_LOG_IF_TOLD]
    numbers = {column for column in told if column}
    places = tuple(str(number) for number in range(1, len(names) + 1))
    if (
        numbers
        and all(column.isdigit() for column in numbers)
        and (numbers <= set(places) or not numbers <= set(names))
    ):
        return delimiter, places, False
    return delimiter, names, True


def log_fields(columns: Sequence[str], config: PrepareConfig, file: str) -> dict[str, str]:
    """Which column is which field; InputError when there is none for user or item."""
    fields = {}
    for field in FIELDS:
        told = getattr(config, f"{field}_column")
        # a column of item text may be one of the item file's: `check_told` looks at both
        text = told if told in columns else None
        column = text if field in IN_LOG_IF_TOLD else find(columns, field, told, file)
        if column is not None:
            fields[field] = column
        elif field in ("user", "item"):
            raise InputError(
                f"no column is recognised as the {field} among {', '.join(columns)}; name it with --{field}-column "
                "(by number where there is no header)",
                file=file,
                line=1,
            )
    return fields


def check_told(config: PrepareConfig, in_log: frozenset[str], items: Sequence[Source]) -> None:
    """ConfigError when a column of item text is told that neither the log nor an item table has."""
    for field in IN_LOG_IF_TOLD:
        told = getattr(config, f"{field}_column")
        if told and field not in in_log and not any(told in header_of(table, PrepareConfig())[1] for table in items):
            raise ConfigError(f"--{field}-column: neither the log nor an item table has a column '{told}'")


def is_table(source: Source) -> bool:
    """Whether the first line looks like the header of a table."""
    return delimiter_of(source.first) in source.first and not source.first.startswith(("{", "["))


def scan_table(source: Source, config: PrepareConfig) -> Delimited:
    """The columns of a table with a header, or with columns told by number."""
    delimiter, columns, header = header_of(source, config)
    if len(set(columns)) < len(columns):
        raise InputError("has two columns of one name", file=source.name, line=1)
    return Delimited(delimiter, columns, log_fields(columns, config, source.name), header, '"', source.blank)


def _scan_json(source: Source, config: PrepareConfig) -> JsonLines:
    return JsonLines(log_fields(list(first_object(source)), config, source.name))


def _scan_parquet(source: Source, config: PrepareConfig) -> Parquet:
    import duckdb

    try:
        with duckdb.connect() as connection:
            described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(source.path)})").fetchall()
    except duckdb.Error as error:
        raise InputError(f"is not whole ({str(error).splitlines()[0]})", file=source.name) from None
    types = {row[0]: row[1] for row in described}
    fields = log_fields(list(types), config, source.name)
    moments = {column for column in fields.values() if types[column].startswith(("TIMESTAMP", "DATE"))}
    return Parquet(fields, frozenset(moments))


def _read_item_lines(source: Source, config: PrepareConfig) -> Iterator[Item]:
    """Item records."""
    yield from jsonl.read(source.path, Item)


def _read_item_table(source: Source, config: PrepareConfig) -> Iterator[Item]:
    delimiter, columns, _ = header_of(source, PrepareConfig())
    places = {}
    for field in ("item", "title", "category", "text"):
        column = find(columns, field, None, source.name)
        told = getattr(config, f"{field}_column", None)
        # a column that is told may be one of the log's
        column = told if told in columns else column
        if column is not None:
            places[field] = columns.index(column)
    for number, (line, _, cells) in enumerate(cells_of(source.path, delimiter, '"')):
        if number == 0:
            continue
        if cells is None or len(cells) != len(columns):
            found = "a quote that is not closed" if cells is None else f"{len(cells)} columns"
            raise InputError(f"has {found}, expected {len(columns)} columns", file=source.name, line=line)
        values = {field: cells[place] for field, place in places.items()}
        yield Item(
            item=values["item"],
            title=values.get("title", ""),
            categories=split_categories(values.get("category", "")),
            text=values.get("text"),
        )


def _is_item_lines(source: Source) -> bool:
    try:
        msgspec.convert(first_object(source), type=Item)
    except msgspec.ValidationError:
        return False
    return True


def _is_item_table(source: Source) -> bool:
    if not is_table(source):
        return False
    columns = header_of(source, PrepareConfig())[1]
    return find(columns, "item", None, source.name) is not None


LOGS = (
    LogFormat(
        "jsonl",
        "JSON lines; the keys are found by name or told with --user-column and so on",
        lambda source: bool(first_object(source)),
        _scan_json,
    ),
    LogFormat(
        "parquet",
        "Parquet; columns likewise",
        lambda source: source.parquet,
        _scan_parquet,
    ),
    LogFormat(
        "csv",
        "CSV or TSV (, tab ; or |) with a header, columns likewise; without a header --user-column 1 and so on",
        is_table,
        scan_table,
    ),
)
ITEMS = (
    ItemFormat("Item lines", _is_item_lines, _read_item_lines),
    ItemFormat(ITEM_TABLE, _is_item_table, _read_item_table),
)
