"""Logs in time order without times: `user item` pairs (SASRec) and one line a user; sets published so."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from typing import Any

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.amazon import first_object
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, existing, read_object
from eimf_core.prepare.formats.movielens import ITEMS as MOVIES
from eimf_core.prepare.formats.tables import is_header, log_fields, names_columns, unclear_header
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import shortened, split_categories
from eimf_core.prepare.scans import Delimited, UserLines
from eimf_core.records import Item

MOST_CATEGORY_WORDS = 6
COLUMNS = ("user", "item")


def _words(source: Source) -> list[list[str]]:
    return [line.split() for line in source.head]


def _is_pairs(source: Source) -> bool:
    """Two words a line; where no user comes twice, one line a user means the same."""
    return all(len(row) == 2 and not set('{}[]",;:') & set("".join(row)) for row in _words(source))


def _is_user_lines(source: Source) -> bool:
    rows = _words(source)
    if names_columns(rows[0]):
        return False
    bare = all(len(row) >= 2 and row[0][-1] != ":" and not set('{}[]",;|') & set("".join(row)) for row in rows)
    # lines of one width may as well be the rows of a table without a header
    table = len({len(row) for row in rows}) == 1
    return bare and not table and len({row[0] for row in rows}) == len(rows)


def _user_lines(source: Source, config: PrepareConfig) -> UserLines:
    """A first line that looks like a header is an error: it would be a user."""
    if config.header == "yes":
        raise ConfigError("--header yes: a log of one line a user has none; take that line off")
    starts = [row[:2] for row in _words(source)]
    header = is_header(starts, {"user": 0, "item": 1}) if config.header == "auto" else False
    if header or (header is None and not any(map(str.isdigit, source.first))):
        raise InputError(
            f"may be a header or prose ({shortened(source.first, 80)}); say --header no if it is what a user did, "
            "else take it off, or name the columns of a table with --user-column and --item-column",
            file=source.name,
            line=source.blank + 1,
        )
    return UserLines(source.first if header is None else "")


def _pairs(source: Source, config: PrepareConfig) -> Delimited | UserLines:
    """User and item, unless a header names them in another order."""
    delimiter = "\t" if "\t" in source.head[0] else " "
    words = _words(source)
    if config.header != "no" and names_columns(words[0]):
        fields = log_fields(words[0], config, source.name)
        return Delimited(delimiter, tuple(words[0]), fields, True, "", source.blank, source.first)
    header = {"yes": True, "no": False}.get(config.header)
    if header is None and (is_header(words, {"user": 0, "item": 1}) is not False) and len(words) > 1:
        # a header whose names are not known, or ids that look like one
        raise unclear_header(source)
    if not header and any(line.count(delimiter) != 1 for line in source.head):
        # columns that are lined up with blanks
        return UserLines(width=len(COLUMNS))
    return Delimited(delimiter, COLUMNS, dict(zip(COLUMNS, COLUMNS, strict=True)), bool(header), "", source.blank)


def _read_mapped_movies(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    """`sas_id original_id` a line; the titles are in movies.dat one folder up."""
    original = dict(_pair(source, number, line) for number, line in log_files.lines(source.path))
    movies = existing(source.path.parent.parent, ("movies.dat",))
    if not movies:
        raise InputError("needs movies.dat in the folder above", file=source.name)
    described = _reader("movies.dat")(log_files.probe(movies[0]), config)
    by_id = {item.item: item for item in described if isinstance(item, Item)}
    for item, movie in original.items():
        if movie in by_id:
            found = by_id[movie]
            yield Item(item=item, title=found.title, categories=found.categories)


def _reader(name: str) -> Any:
    return next(kind.read for kind in MOVIES if kind.name == name)


def _pair(source: Source, number: int, line: str) -> tuple[str, str]:
    cells = line.split()
    if len(cells) != 2:
        raise InputError(f"has {len(cells)} ids, expected 2", file=source.name, line=number)
    return cells[0], cells[1]


def _read_lookup(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    """`,global_product_id,name`; item_id_to_int.json beside it says which id is which product."""
    names: dict[str, str] = {}
    rows = csv.DictReader(line + "\n" for _, line in log_files.lines(source.path))
    for row in rows:
        names[row["global_product_id"]] = row["name"] or ""
    mapping = existing(source.path.parent, ("item_id_to_int.json",))
    if not mapping:
        raise InputError("needs item_id_to_int.json beside it", file=source.name)
    for item, product in read_object(mapping[0]).items():
        yield Item(item=item, title=names.get(str(product), ""))


def _read_object(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    """One JSON object: item id to an object with a title. The Yelp file of this kind counts from 0."""
    shift = int(source.stem == "yelp.item.json")
    for key, row in read_object(source.path).items():
        if not isinstance(row, dict):
            raise InputError(f"item '{key}' is no object with a title", file=source.name)
        try:
            item = str(int(key) + shift) if shift else key
        except ValueError:
            raise InputError(f"item '{key}' is no number", file=source.name) from None
        yield described(item, row)


def described(item: str, row: dict[str, Any]) -> Item:
    """An item from a mapping with a title and what else is usual; lists may be written as Python literals."""
    description = _unlisted(row.get("description"))
    named = split_categories(_joined(_unlisted(row.get("categories") or row.get("category"))))
    if not named and isinstance(description, str) and len(description) > 0 and "," in description:
        parts = [part.strip() for part in description.split(",")]
        # Yelp: the description is the list of categories
        if all(len(part.split()) <= MOST_CATEGORY_WORDS for part in parts):
            named, description = parts, None
    brand = row.get("brand")
    return Item(
        item=item,
        title=_joined(row.get("title") or row.get("name")),
        categories=named,
        text=_joined(description),
        attributes={"brand": brand} if isinstance(brand, str) and brand.strip() else None,
    )


def _unlisted(value: Any) -> Any:
    """A list that is written as text, as a list."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_joined(inner) for inner in value)
    return "" if value is None else str(value)


def _is_object(source: Source) -> bool:
    # a first line that is an object by itself holds all items, or is one of many lines
    whole = first_object(source)
    return source.stem.endswith(".json") and source.first.startswith("{") and all(map(_is_row, whole.values()))


def _is_row(value: Any) -> bool:
    return isinstance(value, dict)


LOGS = (
    LogFormat(
        "pairs",
        "`user item` a line in time order, as SASRec reads; no times",
        _is_pairs,
        _pairs,
        logs=("ml-1m.txt",),
        options=("header",),
        items=("sas_mapping/sas_to_original_items.txt",),
    ),
    LogFormat(
        "user-lines",
        "`user item item …`, one line a user in time order; no times",
        _is_user_lines,
        _user_lines,
        logs=("sequences.tsv", "user_sequence.txt", "Yelp.txt"),
        options=("header",),
        items=("movies.dat", "products_lookup.csv", "Yelp.item.json"),
    ),
)
ITEMS = (
    ItemFormat("mapped movies", lambda source: source.stem == "sas_to_original_items.txt", _read_mapped_movies),
    ItemFormat("products lookup", lambda source: source.first == ",global_product_id,name", _read_lookup),
    ItemFormat("an object of items", _is_object, _read_object),
)
