"""The items of the log with their text: item files read, cleaned and joined by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eimf_core import text_cleaning
from eimf_core.prepare import log_titles, numeric_ids
from eimf_core.prepare.columns import TEXT_FIELDS
from eimf_core.prepare.formats.base import BadRow, ItemFile
from eimf_core.prepare.raw_text import split_categories, without_html
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import Scan
from eimf_core.prepare.value_parsing import BLANKS, is_missing, trimmed_sql
from eimf_core.records import Item
from eimf_core.text_cleaning import shortened_at_word

LONGEST_TITLE = 300


@dataclass(frozen=True)
class Catalogue:
    """Items in the order of the log's ids.

    `without_text`: ids that no item file gives a title; their title is the id. `not_in_log`: items
    of the files that the log does not have, `other` one of them.
    """

    items: list[Item]
    without_text: list[str]
    not_in_log: int
    other: str = ""


def read_items(files: Sequence[ItemFile], rejects: Rejects) -> Iterator[Item]:
    """The items of all item files, as published; bad rows of them go where those of the log go."""
    for file in files:
        for item in file.format.read(file.source, file.config):
            if isinstance(item, BadRow):
                rejects.add_error(item.error, item.text)
            else:
                yield item


def join(ids: Sequence[str], texts: Iterable[Item], text_length: int) -> Catalogue:
    """Give each id of the log its text; the first description with a title wins.

    Args:
        ids: of the log.
        texts: items of all item files; several may describe the same.
        text_length: characters that are kept of a description.

    Returns:
        The items in the order of `ids`.
    """
    in_log = set(ids)
    found: dict[str, Item] = {}
    others, other = 0, ""
    for item in texts:
        name = item.item.strip(BLANKS)
        if name not in in_log:
            name = numeric_ids.whole(name)
        if name not in in_log:
            others, other = others + 1, other or item.item.strip(BLANKS)
        elif name not in found or not found[name].title:
            found[name] = msgspec.structs.replace(prepared(item, text_length), item=name)
    items, without = [], []
    for name in ids:
        known = found.get(name)
        if known is None or not known.title:
            without.append(name)
            known = Item(item=name, title=name) if known is None else msgspec.structs.replace(known, title=name)
        items.append(known)
    return Catalogue(items=items, without_text=without, not_in_log=others, other=other)


def prepared(item: Item, text_length: int) -> Item:
    """The item as items.jsonl has it: without HTML, clean, shortened; a description that is the title again is none."""
    plain = text_cleaning.clean_item(
        Item(
            item=item.item.strip(BLANKS),
            title=_present(without_html(item.title)),
            categories=[_present(without_html(name)) for name in item.categories],
            text=_present(without_html(item.text or "")),
            attributes=item.attributes or None,
        )
    )
    title = shortened_at_word(plain.title, LONGEST_TITLE)
    text = shortened_at_word(plain.text or "", text_length)
    return msgspec.structs.replace(plain, title=title, text=text if text and text != title else None)


def _present(text: str) -> str:
    """The text; empty where it stands for no value."""
    return "" if is_missing(text) else text


def from_log(connection: Any, path: Path, scan: Scan) -> list[Item]:
    """Titles and categories that stand in a file of the log itself; of several, the first in the alphabet.

    Args:
        connection: to DuckDB.
        path: of the log file.
        scan: how it is read.

    Returns:
        An item for each id of the file; none where it has no item text, or a guessed column holds no titles.
    """
    if not scan.has & TEXT_FIELDS:
        return []
    rows = connection.execute(
        f"SELECT {trimmed_sql('item')} AS name, min(title), max(title), count(title), min(category) "
        f"FROM ({scan.query(path)}) WHERE name <> '' GROUP BY name ORDER BY name"
    ).fetchall()
    if scan.guessed_title and not log_titles.are_titles(row[1:4] for row in rows):
        return []
    return [
        Item(item=item, title=title or "", categories=split_categories(category or ""))
        for item, title, _, _, category in rows
    ]
