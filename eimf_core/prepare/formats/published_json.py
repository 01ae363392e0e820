"""Published logs that are JSON lines, or lines of Python that were turned into JSON: told by their keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import LogFormat, needed, object_of
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import JsonLines


@dataclass(frozen=True)
class KeyedJson:
    """A published log of JSON lines: `fields` says which key is which field, `more` what keys it has besides."""

    name: str
    summary: str
    fields: dict[str, str]
    more: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    item_files: tuple[str, ...] = ()


KEYED_JSON = (
    KeyedJson(
        "yelp", "Yelp: yelp_academic_dataset_review.json, names from yelp_academic_dataset_business.json beside it",
        {"user": "user_id", "item": "business_id", "time": "date", "rating": "stars"}, ("review_id",),
        published=("yelp_academic_dataset_review.json",), item_files=("yelp_academic_dataset_business.json",),
    ),
    KeyedJson(
        "goodreads", "Goodreads: goodreads_interactions_*.json, titles from goodreads_books_*.json beside it",
        {"user": "user_id", "item": "book_id", "time": "date_added", "rating": "rating"}, ("date_updated",),
        published=("goodreads_interactions*.json", "goodreads_reviews*.json"), item_files=("goodreads_books*.json",),
    ),
    KeyedJson(
        "steam", "Steam (Kang): steam_reviews.json, titles from steam_games.json beside it",
        {"user": "username", "item": "product_id", "time": "date"},
        published=("steam_reviews.json", "steam_new.json"), item_files=("steam_games.json",),
    ),
)  # fmt: skip


def _has_keys(log: KeyedJson) -> Callable[[Source], bool]:
    wanted = {*log.fields.values(), *log.more}
    return lambda source: wanted <= set(object_of(source.first))


def _scan(log: KeyedJson) -> Callable[[Source, PrepareConfig], JsonLines]:
    return lambda source, config: JsonLines(log.fields, source.before)


LOGS = tuple(
    LogFormat(
        log.name, log.summary, _has_keys(log), _scan(log), published=log.published, item_files=log.item_files,
        json=True, needs=needed(log.fields),
    )
    for log in KEYED_JSON
)  # fmt: skip
