"""What one list is told to come from: the interests of the network, each split by the names of what it brings.

An interest of the network often brings items of several kinds. Each kind is shown as an interest of its own, with the
name of its items (`naming.interest_names`); items of one name are one, whichever interest brought them, and what has no
name stays with the interest that brought it. The first kind of an interest keeps its number, further ones are counted
on from the last. A history of one item is one interest, with the name of that item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eimf_core.naming.interest_names import DIGITS, Namer, ScoredName
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.numeric.padding import padded
from eimf_core.recommend import attribution
from eimf_core.recommend.results import RankedList


@dataclass(slots=True)
class InterestPart:
    """The items of a list that share a name, or that have none and one interest.

    Attributes:
        number: that it is shown by.
        name: the number of its name, -1 without one.
        item: one that says which group it is of, the first of its items.
        sources: the interests of the network that brought its items.
        near: the cosines of its items and its name.
    """

    number: int
    name: int
    item: int
    sources: set[int]
    near: list[float]


Parts = list[list[InterestPart]]
"""For each list its parts, in the order in which they come first."""


def split_by_name(
    lists: Sequence[RankedList], namer: Namer, interests: int, further: Sequence[int], of_one: Sequence[int] = ()
) -> tuple[list[RankedList], Parts]:
    """Split the interests behind each list by the names of the items that they brought.

    Args:
        lists: with the interest that brought each item.
        namer: names the items.
        interests: of the network; a larger number is that of the words of a query, which stay whole.
        further: the first number of further parts, for each list.
        of_one: the item of each list that all comes from one item of a history, 0 for others; empty where all do not.

    Returns:
        The lists with the number of the part of each item, and the parts.
    """
    made, parts = [], []
    for ranked, following, one in zip(lists, further, of_one or [0] * len(lists), strict=True):
        found = _of_one_item(ranked, namer, interests, one) if one else _by_name(ranked, namer, interests, following)
        made.append(ranked._replace(interests=found[0]))
        parts.append(found[1])
    return made, parts


def _by_name(ranked: RankedList, namer: Namer, interests: int, following: int) -> tuple[list[int], list[InterestPart]]:
    """The numbers that the items of a list are shown by, and its parts."""
    parts: dict[int, InterestPart] = {}
    shown, begun = [], set()
    # item by item: for the few of one list each call of numpy takes longer
    names, near = namer.name_of[ranked.items].tolist(), namer.near[ranked.items].tolist()
    for item, source, name, cosine in zip(ranked.items, ranked.interests, names, near, strict=True):
        if source >= interests:
            shown.append(source)
            continue
        key = name if name >= 0 else ~source
        part = parts.get(key)
        if part is None:
            part = parts[key] = InterestPart(source, name, item, set(), [])
            if source in begun:
                # of the parts that begin with one interest the first keeps its number
                part.number, following = following, following + 1
            begun.add(source)
        part.sources.add(source)
        part.near.append(cosine)
        shown.append(part.number)
    return shown, list(parts.values())


def _of_one_item(ranked: RankedList, namer: Namer, interests: int, one: int) -> tuple[list[int], list[InterestPart]]:
    """The list of a history of one item, which is one part."""
    sources = {source for source in ranked.interests if source < interests}
    if not sources:
        return ranked.interests, []
    part = InterestPart(min(sources), int(namer.name_of[one]), one, sources, [float(namer.near[one])])
    return [part.number if source < interests else source for source in ranked.interests], [part]


def names_of(parts: Parts, namer: Namer, words: Sequence[Mapping[int, ScoredName]]) -> list[list[ScoredName | None]]:
    """The names of the parts of each list.

    Args:
        parts: of the lists.
        namer: knows the names.
        words: by list, names by number that stay, of the words of a query.

    Returns:
        For each list, by number of the part, a name, or None, and its similarity.
    """
    near = iter(np.round([sum(part.near) / len(part.near) for own in parts for part in own], DIGITS).tolist())
    made: list[list[ScoredName | None]] = []
    for own, spoken in zip(parts, words, strict=True):
        named: dict[int, ScoredName] = dict(spoken)
        for part in own:
            named[part.number] = (namer.names[part.name] if part.name >= 0 else None, next(near))
        made.append([named.get(number) for number in range(max(named, default=-1) + 1)])
    return made


def shares(
    parts: Parts, attention: Floats, histories: Sequence[Ints], namer: Namer, most: int | None, least: float
) -> attribution.Shares:
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

    Returns:
        For each list, by number of the part, item indices and their shares, the largest first.
    """
    places = [(row, place) for row, own in enumerate(parts) for place in range(len(own))]
    rows, columns = np.array(places, dtype=np.int64).reshape(-1, 2).T
    flat = [part for own in parts for part in own]
    means = np.zeros((len(parts), max(1, *map(len, parts)), attention.shape[1]), np.float32)
    for (row, place), part in zip(places, flat, strict=True):
        for source in part.sources:
            means[row, place, source] = 1 / len(part.sources)
    of_parts = attribution.weighted(means, attention)[rows, columns]
    # the row before the first item is of no group
    groups = namer.group_of[[part.item if part.name >= 0 else 0 for part in flat]]
    items = padded(histories)
    like = of_parts * namer.likeness[groups[:, None], namer.group_of[items][rows]]
    # one after the other, so that what stands behind a short history changes no digit
    total = np.cumsum(like, axis=1)[:, -1:]
    np.divide(like, total, out=of_parts, where=total > 0)
    made: attribution.Shares = [
        [[] for _ in range(max((part.number for part in own), default=-1) + 1)] for own in parts
    ]
    found = attribution.row_shares(items, rows, of_parts, most, least)
    for (row, _), part, share in zip(places, flat, found, strict=True):
        made[row][part.number] = share
    return made
