"""Interests of a query that have the same name are one interest: one entry, one list, anchors of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eimf_core.naming.interest_names import Named
from eimf_core.recommend.query_resolution import Floats

Leaders = list[int]
"""For each interest the first with its name: itself when it has none, or one of its own."""


def leaders(names: Sequence[Named]) -> Leaders:
    """The leader of each interest of a query."""
    first: dict[str, int] = {}
    return [at if name is None else first.setdefault(name, at) for at, (name, _) in enumerate(names)]


def merged(led: Leaders) -> bool:
    """Whether any interest follows another."""
    return any(at != leader for at, leader in enumerate(led))


def names(named: Sequence[Named], led: Leaders) -> list[Named | None]:
    """The names of the leaders, each with the largest similarity of those it leads; None for the others."""
    if not merged(led):
        return list(named)
    best: dict[int, float] = {}
    for leader, (_, similarity) in zip(led, named, strict=True):
        if similarity is not None:
            best[leader] = max(similarity, best.get(leader, similarity))
    return [(name, best.get(at)) if led[at] == at else None for at, (name, _) in enumerate(named)]


def attention(weights: Floats, led: Sequence[Leaders]) -> Floats:
    """Attention (B, K, L) in which a leader has the mean of those it leads, so that its shares sum to 1."""
    rows = [row for row, of in enumerate(led) if merged(of)]
    if not rows:
        return weights
    made = weights.copy()
    for row in rows:
        for leader in set(led[row]):
            members = [at for at, of in enumerate(led[row]) if of == leader]
            made[row, leader] = weights[row, members].mean(axis=0)
    return made


def members(interests: Floats, led: Sequence[Leaders], number: int) -> Floats:
    """Interest `number` (B, G, d) of each query with those it leads, repeated where others lead more."""
    each = [[at for at, leader in enumerate(of) if leader == number] or [number] for of in led]
    width = max(map(len, each))
    filled = np.array([own + own[:1] * (width - len(own)) for own in each], dtype=np.int64)
    taken: Floats = np.take_along_axis(interests, filled[:, :, None], axis=1)
    return taken
