"""What one list is told to come from: the interests of the network, each split by the names of what it brings.

An interest of the network often brings items of several kinds. Each kind is shown as an interest of its own, with the
name of its items (`naming.interest_names`); items of one name are one, whichever interest brought them, and what has no
name stays with the interest that brought it. The first kind of an interest keeps its number, further ones are counted
on from the last. A history of one item is one interest, with the name of that item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eimf_core.naming.interest_names import DIGITS, Namer, ScoredName
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.numeric.padding import padded
from eimf_core.recommend import attribution
from eimf_core.recommend.results import RankedList


class InterestSplit(NamedTuple):
    """The items of lists that share a name, or that have none and one interest; list by list, in the order in which
    they come first.

    Attributes:
        rows: the list of each part, rising (P,).
        numbers: that it is shown by (P,).
        names: the number of its name, -1 without one (P,).
        sources: the interests of the network that brought its items, bool (P, K).
        items: an item that says which group it is of, the first of its items (P,).
        near: the mean cosine of its items and its name (P,).
    """

    rows: Ints
    numbers: Ints
    names: Ints
    sources: npt.NDArray[np.bool_]
    items: Ints
    near: npt.NDArray[np.float64]


def split_by_name(
    lists: Sequence[RankedList], namer: Namer, interests: int, further: Sequence[int], of_one: Sequence[int] = ()
) -> tuple[list[RankedList], InterestSplit]:
    """Split the interests behind each list by the names of the items that they brought.

    Args:
        lists: with the interest that brought each item.
        namer: names the items.
        interests: of the network; a larger number is that of the words of a query, which stay whole.
        further: the first number of further parts, for each list.
        of_one: the item of each list that all comes from one item of a history, 0 for others; empty where all do not.

    Returns:
        The lists with the number of the part of each item, and what is known of the parts.
    """
    items, brought = padded([ranked.items for ranked in lists]), padded([ranked.interests for ranked in lists], fill=-1)
    whole = np.asarray(of_one if len(of_one) else np.zeros(len(lists)), dtype=np.int64)[:, None]
    of_network = (brought >= 0) & (brought < interests)
    names = np.where(whole > 0, namer.name_of[whole], namer.name_of[items])
    keys = np.where(whole > 0, 0, np.where(names >= 0, names, ~brought))
    alike = (keys[:, :, None] == keys[:, None, :]) & of_network[:, :, None] & of_network[:, None, :]
    place = np.arange(items.shape[1])
    first = alike.argmax(axis=2) if items.size else items
    begins = of_network & (first == place)
    # of the parts of a list that begin with one interest the first keeps its number
    lowest = np.where(of_network, brought, interests).min(axis=1, initial=interests)[:, None]
    sources = np.where(whole > 0, lowest, brought)
    earlier = (sources[:, :, None] == sources[:, None, :]) & begins[:, None, :] & (place < place[:, None])
    later = begins & earlier.any(axis=2)
    numbers = np.where(later, np.asarray(further)[:, None] + np.cumsum(later, axis=1) - 1, sources)
    shown = np.where(of_network, numbers[np.arange(len(numbers))[:, None], first], brought).tolist()
    rows, columns = np.nonzero(begins)
    members = alike[rows, columns]
    of_part, own = np.nonzero(members)
    from_interests = np.zeros((len(rows), interests), np.bool_)
    from_interests[of_part, brought[rows[of_part], own]] = True
    near = np.where(members, namer.near[items][rows], 0).sum(axis=1, dtype=np.float64) / members.sum(axis=1)
    told = whole[rows, 0]
    split = InterestSplit(
        rows,
        numbers[rows, columns],
        names[rows, columns],
        from_interests,
        np.where(told > 0, told, items[rows, columns]),
        np.where(told > 0, namer.near[told], near),
    )
    made = [ranked._replace(interests=own[: len(ranked.interests)]) for ranked, own in zip(lists, shown, strict=True)]
    return made, split


def names_of(
    split: InterestSplit, namer: Namer, words: Sequence[Mapping[int, ScoredName]]
) -> list[list[ScoredName | None]]:
    """The names of the parts of each list.

    Args:
        split: of the lists.
        namer: knows the names.
        words: by list, names by number that stay, of the words of a query.

    Returns:
        For each list, by number of the part, a name, or None, and its similarity.
    """
    last = np.array([max(spoken, default=-1) for spoken in words], dtype=np.int64)
    np.maximum.at(last, split.rows, split.numbers)
    made: list[list[ScoredName | None]] = [
        [spoken.get(number) for number in range(end + 1)] if spoken else [None] * (end + 1)
        for spoken, end in zip(words, last.tolist(), strict=True)
    ]
    near = np.round(split.near, DIGITS).tolist()
    for row, number, name, value in zip(*(part.tolist() for part in split[:3]), near, strict=True):
        made[row][number] = (namer.names[name] if name >= 0 else None, value)
    return made


def shares(
    split: InterestSplit, attention: Floats, histories: Sequence[Ints], namer: Namer, most: int | None, least: float
) -> attribution.Shares:
    """What made the parts of each list, by number: see `attribution.attention_shares`.

    A part has the attention of the interests that brought it, and in that a history item counts as far as its group is
    like that of the part's first item: of an interest that is the sum of its history weighted by attention, this is
    what the item adds to the product with the centre of the group. A part without a name has the attention alone.

    Args:
        split: of the list of each query.
        attention: (B, K, L), of merged interests the mean.
        histories: what the network read.
        namer: knows the groups.
        most, least: as for `attention_shares`.

    Returns:
        For each list, by number of the part, item indices and their shares, the largest first.
    """
    rows = split.rows
    counts = np.bincount(rows, minlength=len(histories))
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    sums = np.zeros((len(histories), max(1, int(counts.max())), attention.shape[1]), np.float32)
    sums[rows, columns] = split.sources / split.sources.sum(axis=1, keepdims=True)
    of_parts = (sums @ attention)[rows, columns]
    groups = np.where(split.names >= 0, namer.group_of[split.items], -1)
    like = of_parts * namer.likeness[groups[:, None], namer.group_of[padded(list(histories))][rows]]
    total = like.sum(axis=1, keepdims=True)
    of_parts = np.where(total > 0, like / np.where(total > 0, total, 1), of_parts)
    last = np.zeros(len(histories), dtype=np.int64)
    np.maximum.at(last, rows, split.numbers + 1)
    made: attribution.Shares = [[[] for _ in range(end)] for end in last.tolist()]
    found = attribution.row_shares(histories, rows, of_parts, most, least)
    for row, number, share in zip(rows.tolist(), split.numbers.tolist(), found, strict=True):
        made[row][number] = share
    return made
