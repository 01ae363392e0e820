"""The items of the log with their text: item files read, cleaned and joined by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from eimf_core.prepare import text
from eimf_core.records import Item


@dataclass(frozen=True)
class Catalogue:
    """Items in the order of the log's ids. `without_text` are ids that no item file names or titles."""

    items: list[Item]
    without_text: list[str]
    not_in_log: int


def join(ids: list[str], described: Iterable[Item]) -> Catalogue:
    """Give each id of the log its text; the first description with a title wins."""
    wanted = set(ids)
    found: dict[str, Item] = {}
    others = 0
    for item in described:
        if item.item not in wanted:
            others += 1
        elif item.item not in found or not found[item.item].title:
            found[item.item] = tidy(item)
    items, without = [], []
    for name in ids:
        item = found.get(name) or Item(item=name, title="")
        if not item.title:
            without.append(name)
            item = msgspec.structs.replace(item, title=name)
        items.append(item)
    return Catalogue(items=items, without_text=without, not_in_log=others)


def tidy(item: Item) -> Item:
    """The same item with plain text in every field; an empty description is none."""
    return Item(
        item=item.item,
        title=text.shortened(text.clean(item.title)),
        categories=text.flat(item.categories),
        text=(text.shortened(text.clean(item.text)) or None) if item.text else None,
        attributes=item.attributes or None,
    )


def chain(sources: Iterable[Iterable[Item]]) -> Iterator[Item]:
    """Items of several files, one file after the other."""
    for source in sources:
        yield from source
