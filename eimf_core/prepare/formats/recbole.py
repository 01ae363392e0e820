"""RecBole atomic files: `.inter` and `.item`, tab-separated, with typed names such as `item_id:token`."""

from __future__ import annotations

from collections.abc import Iterator

from eimf_core.errors import InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import COLUMN_OPTIONS, BadRow, ItemFormat, LogFormat
from eimf_core.prepare.formats.tables import find, log_fields
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import split_categories
from eimf_core.prepare.row_cells import cells_of, shape_of
from eimf_core.prepare.scans import Delimited
from eimf_core.records import Item

TYPES = (":token", ":float", ":token_seq", ":float_seq")


def _columns(source: Source) -> tuple[str, ...]:
    return tuple(source.first.split("\t"))


def _typed(source: Source) -> bool:
    return bool(source.head) and all(column.endswith(TYPES) for column in _columns(source))


def _is_inter(source: Source) -> bool:
    names = {column.partition(":")[0] for column in _columns(source)}
    return _typed(source) and {"user_id", "item_id"} <= names and "item_id_list" not in names


def _is_item(source: Source) -> bool:
    names = {column.partition(":")[0] for column in _columns(source)}
    return _typed(source) and "item_id" in names and "user_id" not in names


def _scan(source: Source, config: PrepareConfig) -> Delimited:
    columns = _columns(source)
    return Delimited("\t", columns, log_fields(columns, config, source.name), True, blank=source.blank)


def _read_items(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    columns = _columns(source)
    places = {}
    for field in ("item", "title", "category", "text"):
        column = find(columns, field, None, source.name)
        if column is not None:
            places[field] = columns.index(column)
    sequence = "category" in places and columns[places["category"]].endswith("_seq")
    for number, (line, text, cells) in enumerate(cells_of(source.path, "\t", "")):
        if number == 0:
            continue
        if cells is None or len(cells) != len(columns):
            yield BadRow(InputError(shape_of(cells, len(columns)), file=source.name, line=line), text)
            continue
        values = {field: cells[place] for field, place in places.items()}
        category = values.get("category", "")
        # the members of a token_seq are separated by blanks; some sets use commas and keep the blanks
        named = category.split() if sequence and "," not in category else split_categories(category)
        yield Item(item=values["item"], title=values.get("title", ""), categories=named, text=values.get("text"))


LOGS = (
    LogFormat(
        "recbole",
        "RecBole atomic files: .inter (user_id:token, item_id:token, timestamp:float), titles from .item beside it",
        _is_inter,
        _scan,
        logs=("*.inter",),
        options=COLUMN_OPTIONS,
        items=("*.item",),
    ),
)
ITEMS = (ItemFormat(".item", _is_item, _read_items),)
