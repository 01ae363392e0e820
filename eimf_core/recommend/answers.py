"""Answers to queries of one kind, as columns, and as the records that people's programs read.

`lines` writes the same straight from the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eimf_core.recommend.anchors import Shares, rounded
from eimf_core.recommend.asking import Asked
from eimf_core.recommend.catalogue import Items
from eimf_core.recommend.lists import Ranked
from eimf_core.recommend.naming import Named
from eimf_core.records import Anchor, RankedItem, Recommendation, UserInterest


@dataclass(frozen=True)
class Block:
    """What some queries got, row for row: lists, the names of the interests and what made these.

    `names` is None where a list comes from no interest, `anchors` where none are wanted or known.
    """

    asked: Sequence[Asked]
    ranked: list[Ranked]
    names: list[list[Named]] | None = None
    anchors: Shares | None = None
    fallback: str | None = None


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
    for number, (name, similarity) in enumerate(block.names[at]):
        shares = [] if block.anchors is None else block.anchors[at][number]
        yield UserInterest(
            index=number,
            name=name,
            similarity=similarity,
            weight=weight(brought.count(number), len(brought)),
            anchors=[_anchor(items, index, share) for index, share in shares],
        )


def _anchor(items: Items, index: int, share: float) -> Anchor:
    item = items.item(index)
    return Anchor(item=item.item, title=item.title, weight=rounded(share))
