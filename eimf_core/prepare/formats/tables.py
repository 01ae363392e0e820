"""Tables with a header (CSV, TSV and the like) and JSON lines, whose columns have to be found or told."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

import msgspec

from eimf_core import jsonl
from eimf_core.errors import InputError
from eimf_core.prepare import sources
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.amazon import first_object
from eimf_core.prepare.formats.base import ItemFormat, LogFormat
from eimf_core.prepare.scans import Delimited, JsonLines
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
    "title": ("title", "name", "itemtitle", "itemname", "productname", "producttitle"),
    "category": ("categories", "category", "genres", "genre", "maincategory", "categoryname"),
    "text": ("text", "description"),
}  # fmt: skip
"""Names that columns are recognised by, in lower case without blanks, - and _; the first that is there counts."""
DELIMITERS = (",", "\t", ";", "|")


def find(columns: Sequence[str], field: str, wanted: str | None, file: str) -> str | None:
    """The column of a field: the one that is asked for, or the one whose name says so."""
    if wanted is not None:
        if wanted not in columns:
            raise InputError(f"has no column '{wanted}'; there are {', '.join(columns)}", file=file, line=1)
        return wanted
    simple: dict[str, str] = {}
    for column in columns:
        simple.setdefault("".join(char for char in column.lower() if char not in " _-"), column)
    return next((simple[known] for known in KNOWN[field] if known in simple), None)


def delimiter_of(header: str) -> str:
    """The delimiter that occurs most in the header line."""
    return max(DELIMITERS, key=header.count)


def header_of(source: Source) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names of a table."""
    delimiter = delimiter_of(source.head[0])
    return delimiter, tuple(cell.strip() for cell in next(csv.reader([source.head[0]], delimiter=delimiter)))


def log_fields(columns: Sequence[str], config: PrepareConfig, file: str) -> dict[str, str]:
    """Which column is which field; InputError when there is none for user or item."""
    fields = {}
    for field in ("user", "item", "time", "rating", "event"):
        column = find(columns, field, getattr(config, f"{field}_column"), file)
        if column is not None:
            fields[field] = column
        elif field in ("user", "item"):
            raise InputError(
                f"no column is recognised as the {field} among {', '.join(columns)}; name it with --{field}-column",
                file=file,
                line=1,
            )
    return fields


def _is_table(source: Source) -> bool:
    delimiter = delimiter_of(source.head[0])
    return delimiter in source.head[0] and not source.head[0].lstrip().startswith(("{", "["))


def _scan_table(source: Source, config: PrepareConfig) -> Delimited:
    delimiter, columns = header_of(source)
    if len(set(columns)) < len(columns):
        raise InputError("has two columns of one name", file=source.name, line=1)
    return Delimited(delimiter, columns, log_fields(columns, config, source.name), True, '"')


def _scan_json(source: Source, config: PrepareConfig) -> JsonLines:
    return JsonLines(log_fields(list(first_object(source)), config, source.name))


def _read_item_lines(source: Source, config: PrepareConfig) -> Iterator[Item]:
    """Item records."""
    yield from jsonl.read(source.path, Item)


def _read_item_table(source: Source, config: PrepareConfig) -> Iterator[Item]:
    delimiter, columns = header_of(source)
    places = {}
    for field in ("item", "title", "category", "text"):
        wanted = getattr(config, f"{field}_column", None)
        column = find(columns, field, wanted, source.name)
        if column is not None:
            places[field] = columns.index(column)
    rows = csv.reader((line + "\n" for _, line in sources.lines(source.path)), delimiter=delimiter)
    next(rows)
    for cells in rows:
        if len(cells) != len(columns):
            raise InputError(f"has {len(cells)} columns, expected {len(columns)}", file=source.name, line=rows.line_num)
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
    return _is_table(source) and find(header_of(source)[1], "item", None, source.name) is not None


LOGS = (
    LogFormat(
        "jsonl",
        "JSON lines with a key for user and item; --user-column and so on name others",
        lambda source: bool(first_object(source)),
        _scan_json,
    ),
    LogFormat(
        "csv",
        "CSV or TSV with a header; columns are found by name or told with --user-column and so on",
        _is_table,
        _scan_table,
    ),
)
ITEMS = (
    ItemFormat("items.jsonl", _is_item_lines, _read_item_lines),
    ItemFormat("item table", _is_item_table, _read_item_table),
)
