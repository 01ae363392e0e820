"""RecBole atomic files: `.inter` and `.item`, whose columns have typed names such as `item_id:token`."""

from __future__ import annotations

from collections.abc import Iterator

from eimf_core.prepare.columns import COLUMN_OPTIONS, item_columns, log_columns
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, table_rows
from eimf_core.prepare.header import delimiter_of, names_columns
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import split_categories
from eimf_core.prepare.scans import Delimited
from eimf_core.records import Item

TYPES = (":token", ":float", ":token_seq", ":float_seq")


def _columns(source: Source) -> tuple[str, ...]:
    return tuple(source.first.split(delimiter_of(source))) if source.head else ()


def _typed(source: Source) -> bool:
    return bool(source.head) and all(column.endswith(TYPES) for column in _columns(source))


def _is_inter(source: Source) -> bool:
    columns = _columns(source)
    lists = any(column.startswith("item_id_list:") for column in columns)
    return _typed(source) and not lists and (source.stem.endswith(".inter") or names_columns(columns, ("user", "item")))


def _is_item(source: Source) -> bool:
    columns = _columns(source)
    items = source.stem.endswith(".item") or names_columns(columns, ("item",))
    return _typed(source) and items and not names_columns(columns, ("user",))


def _scan(source: Source, config: PrepareConfig) -> Delimited:
    columns = _columns(source)
    return Delimited(
        delimiter_of(source), columns, log_columns(columns, config, source.name), True, before=source.before
    )


def _item_columns(source: Source, config: PrepareConfig) -> tuple[str, ...]:
    return _columns(source)


def _read_items(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    columns = _columns(source)
    found = item_columns(columns, config, source.name)
    positions = {field: columns.index(column) for field, column in found.items()}
    sequence = found.get("category", "").endswith("_seq")
    for row in table_rows(source, delimiter_of(source), "", len(columns)):
        if isinstance(row, BadRow):
            yield row
            continue
        values = {field: row[at] for field, at in positions.items()}
        category = values.get("category", "")
        # the members of a token_seq are separated by blanks; some sets use commas and keep the blanks
        names = category.split() if sequence and "," not in category else split_categories(category)
        yield Item(item=values["item"], title=values.get("title", ""), categories=names, text=values.get("text"))


LOGS = (
    LogFormat(
        "recbole",
        "RecBole atomic files: .inter (user_id:token, item_id:token, timestamp:float), titles from .item beside it",
        _is_inter,
        _scan,
        published=("*.inter -*.train.inter -*.valid.inter -*.test.inter",),
        options=COLUMN_OPTIONS,
        table=True,
        item_files=("*.item",),
    ),
)
ITEMS = (ItemFormat(".item", _is_item, _read_items, _item_columns),)
