"""Answers to queries of one kind, as columns, and as the records that people's programs read.

`lines` writes the same straight from the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from eimf_core.naming.interest_names import Named
from eimf_core.recommend.anchors import Shares, rounded
from eimf_core.recommend.candidate_lists import Ranked
from eimf_core.recommend.item_lookup import Items
from eimf_core.recommend.query_resolution import Asked
from eimf_core.records import Anchor, RankedItem, Recommendation, UserInterest


@dataclass(frozen=True)
class Block:
    """What some queries got, row for row: lists, the names of the interests and what made these.

    `names` is None where a list comes from no interest, `anchors` where none are wanted or known. One of the
    names is None where the interest is merged with an earlier one; the last is that of the words of a query
    with words. `empty` says of some rows why nothing is listed.
    """

    asked: Sequence[Asked]
    ranked: list[Ranked]
    names: list[list[Named | None]] | None = None
    anchors: Shares | None = None
    fallback: str | None = None
    empty: Mapping[int, str] = field(default_factory=dict)

    def words(self, at: int, number: int) -> str | None:
        """The words of a row that are its interest `number`."""
        assert self.names is not None
        return self.asked[at].text if number == len(self.names[at]) - 1 else None


def weight(brought: int, listed: int) -> float:
    """The share of a list that an interest brought."""
    return round(brought / max(1, listed), 4)


def records(block: Block, items: Items) -> Iterator[Recommendation]:
    """A block as records, in order."""
    for at, (query, ranked) in enumerate(zip(block.asked, block.ranked, strict=True)):
        yield Recommendation(
            id=query.id,
            items=list(_listed(ranked, items)),
            interests=list(_interests(block, at, items)),
            unknown=query.unknown,
            fallback=block.fallback,
            empty=block.empty.get(at),
        )


def _listed(ranked: Ranked, items: Items) -> Iterator[RankedItem]:
    sources: Sequence[int | None] = ranked.interests or [None] * len(ranked.items)
    for rank, index, score, source in zip(ranked.ranks, ranked.items, ranked.scores, sources, strict=True):
        item = items.item(index)
        yield RankedItem(rank=rank, item=item.item, title=item.title, score=score, interest=source)


def _interests(block: Block, at: int, items: Items) -> Iterator[UserInterest]:
    if block.names is None:
        return
    brought = block.ranked[at].interests
    for number, named in enumerate(block.names[at]):
        if named is None:
            continue
        name, similarity = named
        words = block.words(at, number)
        shares = [] if block.anchors is None or words is not None else block.anchors[at][number]
        yield UserInterest(
            index=number,
            words=words,
            name=name,
            similarity=similarity,
            weight=weight(brought.count(number), len(brought)),
            anchors=[_anchor(items, index, share) for index, share in shares],
        )


def _anchor(items: Items, index: int, share: float) -> Anchor:
    item = items.item(index)
    return Anchor(item=item.item, title=item.title, weight=rounded(share))
