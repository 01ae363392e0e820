"""What an interest is made of: those with one name or direction are merged, history items have shares of attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.naming.interest_names import ScoredName
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.numeric.padding import padded
from eimf_core.recommend import text_fusion

DIGITS = 4
"""Decimal places of a share."""
SAME_COSINE = 0.98
"""Interests of at least this cosine are nearly one vector: of their first ten items eight are the same (on MovieLens
100K, Amazon Beauty and the bundled shop .77 to .86 on average from .98 to .99, below .70 under .95)."""
FEW = 8
"""Items of an interest that are found one after the other; more are sorted."""
TINY = np.finfo(np.float32).tiny
MergedInto = list[int]
"""For each interest of a query the first with its name or nearly its vector: itself when there is none before it."""
Shares = list[list[list[tuple[int, float]]]]
"""For each query and each of its interests: item indices and their shares, the largest first."""


@dataclass(frozen=True)
class UserInterests:
    """The interests of some queries of one kind.

    Attributes:
        vectors: what gives the scores, (B, K, d).
        attention: over the history, (B, K, L); None for words alone.
        fusions: of words and history, None where a query has only one of these.
        names: a name for each interest as a whole, none where a list is split by name, and behind those of a
            fusion one for the words.
        merged_into: likewise.
    """

    vectors: Floats
    attention: Floats | None
    fusions: Sequence[text_fusion.Fusion | None]
    names: list[list[ScoredName]]
    merged_into: list[MergedInto]

    @property
    def words(self) -> int:
        """The number of the words of a query."""
        return self.vectors.shape[1] if self.attention is not None else 0

    @property
    def without_text(self) -> list[MergedInto]:
        """`merged_into` without the words behind those of a fusion."""
        return [of[: self.vectors.shape[1]] for of in self.merged_into]


def merge(
    names: Sequence[Sequence[ScoredName]] | None, interests: Floats, of_one_item: Sequence[bool] = ()
) -> list[MergedInto]:
    """Merge each interest of a query into the first with its name or, where there is none, nearly its vector.

    Args:
        names: of the interests of each query; None where they have none.
        interests: (B, K, d).
        of_one_item: whether the history of a query is one item alone, which is one interest; empty where none is.

    Returns:
        For each query the interest that each of its interests is merged into, itself where it is not.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        products = interests @ interests.transpose(0, 2, 1)
        lengths = np.sqrt(products.diagonal(axis1=1, axis2=2))
        same = products >= np.maximum(SAME_COSINE * lengths[:, :, None] * lengths[:, None, :], TINY)
    if any(of_one_item):
        same[np.array(of_one_item)] = True
    rows = same.tolist()
    return list(map(_merged, rows)) if names is None else list(map(_merged, rows, names))


def _merged(alike: Sequence[Sequence[bool]], names: Sequence[ScoredName] | None = None) -> MergedInto:
    """For each interest of a query the first one that is nearly its vector, out of which are (K, K), or has its name.

    Like the first of a group itself: what is like a member alone may be far from the others.
    """
    first_of: dict[str, int] = {}
    firsts: list[int] = []
    made: MergedInto = []
    for at, own in enumerate(alike):
        group = next((first for first in firsts if own[first]), at)
        if names is not None and (name := names[at][0]) is not None:
            group = first_of.setdefault(name, group)
        if group == at:
            firsts.append(at)
        made.append(group)
    return made


def any_merged(merged_into: MergedInto) -> bool:
    """Whether any interest is merged into another."""
    return any(at != first for at, first in enumerate(merged_into))


def merged_names(names: Sequence[ScoredName], merged_into: MergedInto) -> list[ScoredName | None]:
    """Names after merging: of each group that with the largest similarity, None for an interest that is merged away."""
    if not any_merged(merged_into):
        return list(names)
    best: dict[int, ScoredName] = {}
    for first, named in zip(merged_into, names, strict=True):
        best[first] = max(best.get(first, named), named, key=_likeness)
    return [best[at] if merged_into[at] == at else None for at in range(len(names))]


def _likeness(named: ScoredName) -> tuple[bool, float]:
    """What is named comes before what is not, then what is nearest to its name."""
    name, similarity = named
    return name is not None, -2.0 if similarity is None else similarity


def merged_attention(attention: Floats, merged_into: Sequence[MergedInto]) -> Floats:
    """Attention of merged interests: the first of a group has the group's mean, so that its shares sum to 1.

    Args:
        attention: (B, K, L).
        merged_into: of `merge`.

    Returns:
        (B, K, L).
    """
    if not any(map(any_merged, merged_into)):
        return attention
    into = np.array(merged_into, dtype=np.int64)
    members = (into[:, None, :] == np.arange(into.shape[1])[:, None]).astype(np.float32)
    counts = members.sum(axis=2, keepdims=True)
    return np.where(counts > 1, weighted(members, attention) / np.maximum(counts, 1), attention)


def weighted(weights: Floats, attention: Floats) -> Floats:
    """Sums of attention maps, number by number: the same to the last digit whatever other maps there are.

    Args:
        weights: (..., G, K).
        attention: (..., K, L).

    Returns:
        (..., G, L).
    """
    sums: Floats = np.zeros((*weights.shape[:-1], attention.shape[-1]), np.float32)
    for number in range(weights.shape[-1]):
        sums += weights[..., number, None] * attention[..., None, number, :]
    return sums


def group_members(interests: Floats, merged_into: Sequence[MergedInto], number: int) -> Floats:
    """An interest of each query with those merged into it.

    Args:
        interests: (B, K, d).
        merged_into: of `merge`.
        number: of the interest, from 0.

    Returns:
        (B, G, d), repeated where other groups are larger.
    """
    each = [[at for at, first in enumerate(of) if first == number] or [number] for of in merged_into]
    width = max(map(len, each))
    filled = np.array([own + own[:1] * (width - len(own)) for own in each], dtype=np.int64)
    taken: Floats = np.take_along_axis(interests, filled[:, :, None], axis=1)
    return taken


def attention_shares(
    histories: Sequence[Ints], attention: Floats, most: int | None = None, least: float = 0.0
) -> Shares:
    """Shares of the distinct items of each history in each interest's attention.

    Args:
        histories: what the network read, oldest first.
        attention: (B, K, L), L at least the longest history.
        most: items for each interest; None for all.
        least: behind the largest only items of at least this share are given.

    Returns:
        Items and their shares, rounded to DIGITS, the largest first, ties by rising index; repeats of an item are
        summed.
    """
    users, number, width = attention.shape
    rows = np.repeat(np.arange(users), number)
    found = row_shares(padded(histories), rows, attention.reshape(-1, width), most, least)
    return [found[start : start + number] for start in range(0, len(found), number)]


def row_shares(
    items: Ints, rows: Ints, attention: Floats, most: int | None = None, least: float = 0.0
) -> list[list[tuple[int, float]]]:
    """As `attention_shares`, of some attention maps.

    Args:
        items: what the network read, (B, L) of item indices, 0 behind the end of a history.
        rows: the history of each map, (P,).
        attention: (P, L), or more columns.
        most, least: as for `attention_shares`.

    Returns:
        For each map item indices and their shares, rounded to DIGITS, the largest first.
    """
    width = items.shape[1]
    order = items.argsort(axis=1, kind="stable")
    items = items[np.arange(len(items))[:, None], order]
    summed = attention[np.arange(len(rows))[:, None], order[rows]].astype(np.float64)
    # an item stands where it stands first; padding, index 0, nowhere
    first = np.ones(items.shape, dtype=np.bool_)
    first[:, 1:] = items[:, 1:] != items[:, :-1]
    known = items > 0
    there = first & known
    numbers = there.sum(axis=1)
    if known.sum() > numbers.sum():
        begins = first[rows]
        summed[begins] = np.add.reduceat(summed.ravel(), np.flatnonzero(begins))
    summed[~there[rows]] = -1
    counts = numbers[rows]
    kept = int(counts.max(initial=0)) if most is None else min(most, width)
    best, values = _largest(summed, kept)
    enough = np.minimum(counts, np.maximum(1, (values >= least).sum(axis=1))).tolist()
    shares = values.round(DIGITS).tolist()
    found = items[rows[:, None], best].tolist()
    return [list(zip(row[:end], own, strict=False)) for row, own, end in zip(found, shares, enough, strict=True)]


def _largest(values: npt.NDArray[np.float64], k: int) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Places and values (P, k) of the largest of each row, the largest first, of equal ones the first; in place."""
    if k > FEW:
        best = np.argsort(-values, axis=1, kind="stable")[:, :k]
        return best, np.take_along_axis(values, best, axis=1)
    places = np.empty((len(values), k), dtype=np.int64)
    largest = np.empty((len(values), k))
    row = np.arange(len(values))
    for column in range(k):
        at = places[:, column] = values.argmax(axis=1)
        largest[:, column] = values[row, at]
        values[row, at] = -2
    return places, largest
