"""Answers to queries of one kind, as columns: ranked lists, the names of interests and what made these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from eimf_core.errors import ModelError
from eimf_core.naming.interest_names import ScoredName
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.recommend.attribution import Shares
from eimf_core.recommend.query.query_resolution import ResolvedQuery

TopItems = tuple[list[int], list[float]]
"""Item indices and their scores, best first."""
DIGITS = 6
"""Decimal places of a score."""


class RankedList(NamedTuple):
    """One list, best first.

    Attributes:
        items: item indices.
        scores: one for each item.
        interests: the interest that brought each item; empty where none did.
        lengths: of lists that stand one behind the other, each with ranks from 1; None for one list.
    """

    items: list[int]
    scores: list[float]
    interests: list[int]
    lengths: list[int] | None = None

    @property
    def ranks(self) -> Sequence[int]:
        """The rank of each item in its list."""
        if self.lengths is None:
            return range(1, len(self.items) + 1)
        return [rank for length in self.lengths for rank in range(1, length + 1)]


@dataclass(frozen=True)
class Result:
    """What some queries got, row for row.

    Attributes:
        queries: the queries, with their ids and what was unknown in them.
        lists: the list of each.
        names: of the interests of each query; None where a list comes from no interest. A name is None where the
            interest is merged into an earlier one, or brought nothing.
        shares: what made these interests; None where that is not wanted or not known.
        words: the number of the words of a query with words.
        fallback: what stood in where nothing of the history is known.
        empty: for rows without any item, which filter left nothing.
    """

    queries: Sequence[ResolvedQuery]
    lists: list[RankedList]
    names: list[list[ScoredName | None]] | None = None
    shares: Shares | None = None
    words: int = 0
    fallback: str | None = None
    empty: Mapping[int, str] = field(default_factory=dict)


def top_items(scores: Floats, k: int, min_score: float | None) -> list[TopItems]:
    """The k best items of each row.

    Args:
        scores: (B, N + 1); -inf for what may not be listed.
        k: how many, at most.
        min_score: the least score of a listed item; None for any.

    Returns:
        For each row item indices and their scores, best first, rounded to DIGITS.

    Raises:
        ModelError: a score is no number.
    """
    try:
        best = ranking.top_k(scores, k)
    except ValueError as error:
        raise _no_number(str(error.args[0])) from None
    values = np.take_along_axis(scores, best, axis=1)
    listed = np.isfinite(values) if min_score is None else np.isfinite(values) & (values >= min_score)
    # scores fall along a row, so that what is listed stands in front
    counts = listed.sum(axis=1).tolist()
    rounded = np.round(values.astype(np.float64), DIGITS).tolist()
    if listed.all():
        return list(zip(best.tolist(), rounded, strict=True))
    return [(row[:count], of[:count]) for row, of, count in zip(best.tolist(), rounded, counts, strict=True)]


def top_pairs(rows: Ints, items: Ints, scores: Floats, users: int, k: int, min_score: float | None) -> list[TopItems]:
    """As `top_items`, of some items of each row, which may be listed.

    Args:
        rows: of each pair, (n,).
        items: their item indices, (n,).
        scores: (n,).
        users: how many rows there are.
        k: how many items a row gets.
        min_score: least score of a listed item, if there is one.

    Returns:
        For each row item indices and their scores, best first, rounded to DIGITS.

    Raises:
        ModelError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise _no_number("a score is not finite")
    order = np.lexsort((items, -scores, rows))
    if min_score is not None:
        order = order[scores[order] >= min_score]
    counts = np.bincount(rows[order], minlength=users)
    places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = order[places < k]
    ends = [0, *np.cumsum(np.minimum(counts, k)).tolist()]
    found, rounded = items[order].tolist(), np.round(scores[order].astype(np.float64), DIGITS).tolist()
    return [(found[start:end], rounded[start:end]) for start, end in pairwise(ends)]


def _no_number(problem: str) -> ModelError:
    return ModelError(f"the model gives a score that is no number ({problem}); train it again")
