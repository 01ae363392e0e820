"""Negatives that a batch shares: drawn uniformly, with their correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eimf_core.numeric.arrays import Floats, Ints


@dataclass(frozen=True)
class Negatives:
    """`items` int64 (S',), distinct and rising; `correction` float32 (S',), log(draws / (S Q))."""

    items: Ints
    correction: Floats


class Uniform:
    """S distinct items of 1 … N, each equally likely. Its cost does not grow with N."""

    def __init__(self, items: int, count: int) -> None:
        self._items, self._count = items, min(count, items)
        self._correction = np.full(self._count, np.log(items / self._count), dtype=np.float32)

    def draw(self, rng: np.random.Generator) -> Negatives:
        drawn = rng.choice(self._items, size=self._count, replace=False, shuffle=False) + 1
        return Negatives(np.sort(drawn).astype(np.int64), self._correction)


def accidental(negatives: Ints, targets: Ints) -> tuple[Ints, Ints]:
    """Where a negative is the target.

    Args:
        negatives: item indices (S,), distinct and rising.
        targets: item indices (P,).

    Returns:
        Rows (of targets, rising) and columns (of negatives), each (n,).
    """
    at = np.minimum(np.searchsorted(negatives, targets), len(negatives) - 1)
    rows = np.flatnonzero(negatives[at] == targets)
    return rows, at[rows]
