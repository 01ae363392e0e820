"""Answers to queries of one kind, as columns: ranked lists, the names of interests and what made these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from eimf_core.naming.interest_names import ScoredName
from eimf_core.recommend.attribution import Shares
from eimf_core.recommend.query.query_resolution import ResolvedQuery


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


Results = Iterable[tuple[Sequence[int], Result]]
"""Answers to queries of any kind, each with the places of its queries among those that were asked."""
