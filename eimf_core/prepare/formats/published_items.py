"""Item files of published sets without times: movies by another id, products in two files, one object of items."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import InputError
from eimf_core.io import files
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats import movielens
from eimf_core.prepare.formats.base import BadRow, ItemFormat, brand_of, files_matching, object_of
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import split_categories
from eimf_core.records import Item

LONGEST_CATEGORY = 6
"""Words of the longest name that is still one of a category."""


def _read_mapped_movies(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    """`sas_id original_id` a line; the titles are in movies.dat one folder up."""
    original = dict(_pair(source, number, line) for number, line in log_files.lines(source.path))
    movies = files_matching(source.path.parent.parent, ("movies.dat",))
    if not movies:
        raise InputError("needs movies.dat in the folder above", file=source.name)
    described = movielens.read_movies_dat(log_files.probe(movies[0]), config)
    by_id = {item.item: item for item in described if isinstance(item, Item)}
    for item, movie in original.items():
        if movie in by_id:
            found = by_id[movie]
            yield Item(item=item, title=found.title, categories=found.categories)


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
    mapping = files_matching(source.path.parent, ("item_id_to_int.json",))
    if not mapping:
        raise InputError("needs item_id_to_int.json beside it", file=source.name)
    for item, product in _one_object(mapping[0]).items():
        yield Item(item=item, title=names.get(str(product), ""))


def _read_object(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    """One JSON object: item id to an object with a title. The Yelp file of this kind counts from 0."""
    shift = int(source.stem == "yelp.item.json")
    for key, row in _one_object(source.path).items():
        if not isinstance(row, dict):
            raise InputError(f"item '{key}' is no object with a title", file=source.name)
        try:
            item = str(int(key) + shift) if shift else key
        except ValueError:
            raise InputError(f"item '{key}' is no number", file=source.name) from None
        yield _described(item, row)


def _described(item: str, row: dict[str, Any]) -> Item:
    """An item from a mapping with a title and what else is usual; lists may be written as Python literals."""
    description = _unlisted(row.get("description"))
    named = split_categories(_joined(_unlisted(row.get("categories") or row.get("category"))))
    if not named and isinstance(description, str) and len(description) > 0 and "," in description:
        parts = [part.strip() for part in description.split(",")]
        # Yelp: the description is the list of categories
        if all(len(part.split()) <= LONGEST_CATEGORY for part in parts):
            named, description = parts, None
    return Item(
        item=item,
        title=_joined(row.get("title") or row.get("name")),
        categories=named,
        text=_joined(description),
        attributes=brand_of(row, "brand"),
    )


def _one_object(path: Path) -> dict[str, Any]:
    """The one JSON object that a file holds."""
    with files.open_bytes(path) as stream:
        try:
            found = orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise InputError(f"not a JSON object ({error})", file=path) from None
    if not isinstance(found, dict):
        raise InputError("is not a JSON object", file=path)
    return found


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
    whole = object_of(source.first)
    return (
        source.stem.endswith(".json")
        and source.first.startswith("{")
        and all(isinstance(row, dict) for row in whole.values())
    )


ITEMS = (
    ItemFormat("mapped movies", lambda source: source.stem == "sas_to_original_items.txt", _read_mapped_movies),
    ItemFormat("products lookup", lambda source: source.first == ",global_product_id,name", _read_lookup),
    ItemFormat("an object of items", _is_object, _read_object),
)
