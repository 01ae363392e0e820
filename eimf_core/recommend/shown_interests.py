"""What one list is told to come from: the interests of the network, each taken apart by the names of what it brings.

An interest of the network often brings items of several kinds. Each kind is shown as an interest of its own, with the
name of its items (`naming.interest_names`); items of one name are one, whichever interest brought them, and what has no
name stays with the interest that brought it. The first kind of an interest keeps its number, further ones are counted
on from the last. A history of one item is one interest, with the name of that item.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from eimf_core.naming.interest_names import DIGITS, Namer, ScoredName
from eimf_core.padding import padded
from eimf_core.recommend import attribution
from eimf_core.recommend.query_resolution import Floats, Indices
from eimf_core.recommend.results import RankedList


class Part(NamedTuple):
    """The items of one list that share a name, or that have none and one interest.

    Attributes:
        number: that it is shown by.
        name: the number of the name, -1 without one.
        sources: the interests of the network that brought them.
        items: item indices.
    """

    number: int
    name: int
    sources: set[int]
    items: list[int]


def parts_of(ranked: RankedList, namer: Namer, interests: int, further: int) -> tuple[RankedList, list[Part]]:
    """Take a list apart.

    Args:
        ranked: the list, with the interest that brought each item.
        namer: names the items.
        interests: of the network; a larger number is that of the words of a query, which stay whole.
        further: the first number of further parts.

    Returns:
        The list with the number of the part of each item, and the parts in the order in which they come first.
    """
    numbers: list[int] = []
    by_key: dict[int, Part] = {}
    taken: set[int] = set()
    for item, source, name in zip(ranked.items, ranked.interests, namer.name_of[ranked.items].tolist(), strict=True):
        if source >= interests:
            numbers.append(source)
            continue
        key = name if name >= 0 else ~source
        part = by_key.get(key)
        if part is None:
            number, further = (further, further + 1) if source in taken else (source, further)
            part = by_key[key] = Part(number, name, {source}, [item])
            taken.add(number)
        else:
            part.sources.add(source)
            part.items.append(item)
        numbers.append(part.number)
    return ranked._replace(interests=numbers), list(by_key.values())


def part_of_one(ranked: RankedList, namer: Namer, interests: int, item: int) -> tuple[RankedList, list[Part]]:
    """As `parts_of`, for a list that all comes from one item of a history."""
    sources = {source for source in ranked.interests if source < interests}
    if not sources:
        return ranked, []
    part = Part(min(sources), int(namer.name_of[item]), sources, [item])
    numbers = [part.number if source < interests else source for source in ranked.interests]
    return ranked._replace(interests=numbers), [part]


def names_of(parts: Sequence[Part], namer: Namer, words: dict[int, ScoredName]) -> list[ScoredName | None]:
    """Name and similarity of each part by number, the mean cosine of its items and its name; `words` stay."""
    last = max([*(part.number for part in parts), *words], default=-1)
    made: list[ScoredName | None] = [words.get(number) for number in range(last + 1)]
    # one look for all: a mean by numpy takes ten times as long for so few
    near = iter(namer.near[[item for part in parts for item in part.items]].tolist()) if parts else iter(())
    for part in parts:
        name, count = namer.names[part.name] if part.name >= 0 else None, len(part.items)
        made[part.number] = (name, round(sum(islice(near, count)) / count, DIGITS))
    return made


def shares(
    parts: Sequence[Sequence[Part]], attention: Floats, histories: Sequence[Indices], namer: Namer,
    most: int | None, least: float,
) -> attribution.Shares:  # fmt: skip
    """What made the parts of each list, by number: see `attribution.attention_shares`.

    A part has the attention of the interests that brought it, and in that a history item counts as far as its group is
    like that of the part's first item: of an interest that is the sum of its history weighted by attention, this is
    what the item adds to the product with the centre of the group. A part without a name has the attention alone.

    Args:
        parts: of the list of each query.
        attention: (B, K, L), of merged interests the mean.
        histories: what the network read.
        namer: knows the groups.
        most, least: as for `attention_shares`.
    """
    width = max(1, *map(len, parts))
    sums = np.zeros((len(parts), width, attention.shape[1]), np.float32)
    groups = np.full((len(parts), width), -1, dtype=np.int64)
    for row, own in enumerate(parts):
        for column, part in enumerate(own):
            sums[row, column, list(part.sources)] = 1 / len(part.sources)
            if part.name >= 0:
                groups[row, column] = namer.group_of[part.items[0]]
    of_parts = sums @ attention
    read = padded(list(histories))
    like = of_parts * namer.likeness[groups[:, :, None], namer.group_of[read][:, None, :]]
    total = like.sum(axis=2, keepdims=True)
    of_parts = np.where(total > 0, like / np.where(total > 0, total, 1), of_parts)
    found = attribution.attention_shares(histories, of_parts, most, least)
    made: attribution.Shares = []
    for own, each in zip(parts, found, strict=True):
        last = max((part.number for part in own), default=-1)
        by_number: list[list[tuple[int, float]]] = [[] for _ in range(last + 1)]
        for part, share in zip(own, each, strict=False):
            by_number[part.number] = share
        made.append(by_number)
    return made
