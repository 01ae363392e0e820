"""Amazon reviews: 2014 and 2018 (reviewerID, asin, unixReviewTime) and 2023 (user_id, parent_asin, ms)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import orjson

from eimf_core.errors import InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import JsonLines, json_of
from eimf_core.records import Item

REVIEWS = {"user": "reviewerID", "item": "asin", "time": "unixReviewTime", "rating": "overall"}
REVIEWS_2023 = {"user": "user_id", "item": "parent_asin", "time": "timestamp", "rating": "rating"}


def first_object(source: Source) -> dict[str, Any]:
    """The JSON object on the first line; empty when it is none."""
    return object_of(source.first)


def object_of(line: str) -> dict[str, Any]:
    """The JSON object on a line; empty when it is none."""
    try:
        found = json_of(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def first_literal(source: Source) -> dict[str, Any]:
    """The Python dictionary on the first line; empty when it is none."""
    line = source.first
    if not line.startswith("{'"):
        return {}
    try:
        found = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_metadata(source: Source) -> bool:
    row = first_object(source) or first_literal(source)
    return ("asin" in row or "parent_asin" in row) and not {"reviewerID", "user_id"} & set(row)


def _read_metadata(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, line in log_files.lines(source.path):
        try:
            row = ast.literal_eval(line) if line.startswith("{'") else orjson.loads(line)
            yield _item(row)
        except KeyError:
            yield BadRow(InputError("not the metadata of a product (no asin)", file=source.name, line=number), line)
        except (ValueError, SyntaxError, AttributeError, TypeError, MemoryError, RecursionError) as error:
            problem = f"not the metadata of a product ({_short(error)})"
            yield BadRow(InputError(problem, file=source.name, line=number), line)


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:100]


def _item(row: dict[str, Any]) -> Item:
    """A product; 2023 has `parent_asin` and `store`, 2014 and 2018 `asin` and `brand`."""
    brand = row.get("brand") or row.get("store")
    description = row.get("description") or row.get("features") or row.get("feature") or ""
    return Item(
        item=str(row.get("parent_asin") or row["asin"]),
        title=_words(row.get("title")),
        categories=_strings(row.get("categories") or row.get("category") or row.get("main_category")),
        text=_words(description),
        attributes={"brand": brand} if isinstance(brand, str) and brand.strip() else None,
    )


def _words(value: Any) -> str:
    return " ".join(_strings(value))


def _strings(value: Any) -> list[str]:
    """Strings in nested lists, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _strings(inner)]
    return []


LOGS = (
    LogFormat(
        "amazon",
        "Amazon reviews 2014 and 2018: JSON lines with reviewerID, asin, unixReviewTime; meta_*.json beside it",
        lambda source: {"reviewerID", "asin"} <= set(first_object(source)),
        lambda source, config: JsonLines(REVIEWS),
        logs=("reviews_*.json", "[!m]*_5.json"),
        items=("meta_*.json", "meta_*.jsonl"),
    ),
    LogFormat(
        "amazon-2023",
        "Amazon reviews 2023: JSON lines with user_id, parent_asin, timestamp in ms; metadata meta_*.jsonl beside it",
        lambda source: {"user_id", "parent_asin"} <= set(first_object(source)),
        lambda source, config: JsonLines(REVIEWS_2023),
        logs=(),
        items=("meta_*.jsonl", "meta_*.json"),
    ),
)
ITEMS = (ItemFormat("amazon metadata", _is_metadata, _read_metadata),)
