"""Amazon reviews: 2014 and 2018 (reviewerID, asin, unixReviewTime) and 2023 (user_id, parent_asin, ms)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, bad_row, brand_of, needed, object_of
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import JsonLines
from eimf_core.records import Item

REVIEWS = {"user": "reviewerID", "item": "asin", "time": "unixReviewTime", "rating": "overall"}
REVIEWS_2023 = {"user": "user_id", "item": "parent_asin", "time": "timestamp", "rating": "rating"}


def _is_metadata(source: Source) -> bool:
    row = object_of(source.first)
    return ("asin" in row or "parent_asin" in row) and not {"reviewerID", "user_id"} & set(row)


def _read_metadata(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, line in log_files.lines(source.path):
        try:
            yield _item(orjson.loads(line))
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            yield bad_row(source, number, f"not the metadata of a product ({_reason(error)})", line)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "no asin"
    return (str(error) or type(error).__name__).splitlines()[0][:100]


def _item(row: dict[str, Any]) -> Item:
    """A product; 2023 has `parent_asin` and `store`, 2014 and 2018 `asin` and `brand`."""
    description = row.get("description") or row.get("features") or row.get("feature") or ""
    return Item(
        item=str(row.get("parent_asin") or row["asin"]),
        title=_joined(row.get("title")),
        categories=_strings(row.get("categories") or row.get("category") or row.get("main_category")),
        text=_joined(description),
        attributes=brand_of(row, "brand", "store"),
    )


def _joined(value: Any) -> str:
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
        lambda source: {"reviewerID", "asin"} <= set(object_of(source.first)),
        lambda source, config: JsonLines(REVIEWS, source.before),
        json=True,
        needs=needed(REVIEWS),
        published=("reviews_*.json", "[!m]*_5.json"),
        item_files=("meta_*.json", "meta_*.jsonl"),
    ),
    LogFormat(
        "amazon-2023",
        "Amazon reviews 2023: JSON lines with user_id, parent_asin, timestamp in ms; metadata meta_*.jsonl beside it",
        lambda source: {"user_id", "parent_asin"} <= set(object_of(source.first)),
        lambda source, config: JsonLines(REVIEWS_2023, source.before),
        json=True,
        needs=needed(REVIEWS_2023),
        item_files=("meta_*.jsonl", "meta_*.json"),
    ),
)
ITEMS = (ItemFormat("amazon metadata", _is_metadata, _read_metadata),)
