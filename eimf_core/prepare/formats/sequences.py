"""Logs in time order without times: `user item` pairs (SASRec) and one line a user; sets published so."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import InputError
from eimf_core.prepare import sources
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import ItemFormat, LogFormat, existing
from eimf_core.prepare.formats.movielens import ITEMS as MOVIES
from eimf_core.prepare.scans import Delimited, UserLines
from eimf_core.prepare.sources import Source
from eimf_core.records import Item


def _words(source: Source) -> list[list[str]]:
    return [line.split() for line in source.head]


def _is_pairs(source: Source) -> bool:
    rows = _words(source)
    if not all(len(row) == 2 and not set('{}[]",;:') & set("".join(row)) for row in rows):
        return False
    # a user's rows follow each other; with one line a user no user comes twice
    return len({row[0] for row in rows}) < len(rows) or len(rows) == 1


def _is_user_lines(source: Source) -> bool:
    rows = _words(source)
    plain = all(len(row) >= 2 and not set('{}[]",;|') & set("".join(row)) for row in rows)
    return plain and len({row[0] for row in rows}) == len(rows)


def _pairs(source: Source, config: PrepareConfig) -> Delimited:
    delimiter = "\t" if "\t" in source.head[0] else " "
    return Delimited(delimiter, ("user", "item"), {"user": "user", "item": "item"})


def _read_mapped_movies(source: Source, config: PrepareConfig) -> Iterator[Item]:
    """`sas_id original_id` a line; the titles are in movies.dat one folder up."""
    original = dict(_pair(source, number, line) for number, line in sources.lines(source.path))
    movies = existing(source.path.parent.parent, ("movies.dat",))
    if not movies:
        raise InputError("needs movies.dat in the folder above", file=source.name)
    by_id = {item.item: item for item in _reader("movies.dat")(sources.probe(movies[0]), config)}
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


def _read_lookup(source: Source, config: PrepareConfig) -> Iterator[Item]:
    """`,global_product_id,name`; item_id_to_int.json beside it says which id is which product."""
    names: dict[str, str] = {}
    rows = csv.DictReader(line + "\n" for _, line in sources.lines(source.path))
    for row in rows:
        names[row["global_product_id"]] = row["name"] or ""
    mapping = existing(source.path.parent, ("item_id_to_int.json",))
    if not mapping:
        raise InputError("needs item_id_to_int.json beside it", file=source.name)
    for item, product in read_object(mapping[0]).items():
        yield Item(item=item, title=names.get(str(product), ""))


def read_object(path: Path) -> dict[str, Any]:
    """The one JSON object that a file holds."""
    with sources.reading(path) as stream:
        try:
            found = orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise InputError(f"not a JSON object ({error})", file=path) from None
    if not isinstance(found, dict):
        raise InputError("is not a JSON object", file=path)
    return found


LOGS = (
    LogFormat(
        "user-lines",
        "`user item item …`, one line a user in time order; no times",
        _is_user_lines,
        lambda source, config: UserLines(),
        logs=("sequences.tsv", "user_sequence.txt", "Yelp.txt"),
        items=("movies.dat", "products_lookup.csv"),
    ),
    LogFormat(
        "pairs",
        "`user item` a line in time order, as SASRec reads; no times",
        _is_pairs,
        _pairs,
        logs=("ml-1m.txt",),
        items=("sas_mapping/sas_to_original_items.txt",),
    ),
)
ITEMS = (
    ItemFormat("mapped movies", lambda source: source.stem == "sas_to_original_items.txt", _read_mapped_movies),
    ItemFormat("products lookup", lambda source: source.head[0].strip() == ",global_product_id,name", _read_lookup),
)
