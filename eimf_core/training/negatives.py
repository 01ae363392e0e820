"""Negatives that a batch shares: drawn uniformly or by popularity, with their sampling correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Negatives:
    """`items` int64 (S',), distinct and rising; `correction` float32 (S',), log(draws / (S Q))."""

    items: Ints
    correction: Floats


class Sampler(Protocol):
    def draw(self, rng: np.random.Generator) -> Negatives: ...


class Uniform:
    """S distinct items of 1 … N, each equally likely. Its cost does not grow with N."""

    def __init__(self, items: int, count: int) -> None:
        self._items, self._count = items, min(count, items)
        self._correction = np.full(self._count, np.log(items / self._count), dtype=np.float32)

    def draw(self, rng: np.random.Generator) -> Negatives:
        drawn = rng.choice(self._items, size=self._count, replace=False, shuffle=False) + 1
        return Negatives(np.sort(drawn).astype(np.int64), self._correction)


class ByPopularity:
    """S draws with probability Q proportional to (training interactions + 1) ** power.

    Items drawn several times appear once, with the number of draws in their correction: the sum
    over them is the same.
    """

    def __init__(self, counts: npt.NDArray[np.int64], count: int, power: float = 0.75) -> None:
        weights = (counts[1:] + 1.0) ** power
        self._share = weights / weights.sum()
        self._borders = np.cumsum(self._share)
        self._borders[-1] = 1.0
        self._count = count

    def draw(self, rng: np.random.Generator) -> Negatives:
        drawn = np.searchsorted(self._borders, rng.random(self._count), side="right")
        items, times = np.unique(drawn, return_counts=True)
        correction = np.log(times / (self._count * self._share[items]))
        return Negatives(items.astype(np.int64) + 1, correction.astype(np.float32))


def accidental(negatives: Ints, targets: Ints) -> tuple[Ints, Ints]:
    """Rows and columns where a negative is the row's target; `negatives` distinct and rising."""
    at = np.minimum(np.searchsorted(negatives, targets), len(negatives) - 1)
    rows = np.flatnonzero(negatives[at] == targets)
    return rows, at[rows]
