"""Negatives that a batch shares: drawn uniformly, by popularity or from the batch, with their correction."""

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
    def draw(self, rng: np.random.Generator, targets: Ints) -> Negatives:
        """Negatives of a batch with these targets."""


class Uniform:
    """S distinct items of 1 … N, each equally likely. Its cost does not grow with N."""

    def __init__(self, items: int, count: int) -> None:
        self._items, self._count = items, min(count, items)
        self._correction = np.full(self._count, np.log(items / self._count), dtype=np.float32)

    def draw(self, rng: np.random.Generator, targets: Ints) -> Negatives:
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

    def draw(self, rng: np.random.Generator, targets: Ints) -> Negatives:
        drawn = np.searchsorted(self._borders, rng.random(self._count), side="right")
        items, times = np.unique(drawn, return_counts=True)
        correction = np.log(times / (self._count * self._share[items]))
        return Negatives(items.astype(np.int64) + 1, correction.astype(np.float32))


class LogUniform:
    """S draws with probability Q(r) = log((r + 1) / r) / log(N + 1) for the r-th most popular item.

    Zipf's law without a table of probabilities: a draw is one exponential.
    """

    def __init__(self, counts: npt.NDArray[np.int64], count: int) -> None:
        self._by_rank = np.argsort(-counts[1:], kind="stable") + 1
        self._count = count

    def draw(self, rng: np.random.Generator, targets: Ints) -> Negatives:
        width = np.log(len(self._by_rank) + 1.0)
        ranks = np.minimum(np.exp(rng.random(self._count) * width).astype(np.int64), len(self._by_rank))
        found, times = np.unique(ranks, return_counts=True)
        correction = np.log(times / (self._count * np.log1p(1.0 / found) / width))
        items = self._by_rank[found - 1]
        order = np.argsort(items)
        return Negatives(items[order].astype(np.int64), correction[order].astype(np.float32))


class Mixed:
    """Half of S uniform, half taken from the targets of the batch (Yang et al., WWW 2020).

    A target of the batch is drawn as often as it is popular; the correction is by the draws expected
    from both halves together.
    """

    def __init__(self, counts: npt.NDArray[np.int64], count: int) -> None:
        self._share = counts / max(1, int(counts.sum()))
        self._uniform, self._batch = count - count // 2, count // 2

    def draw(self, rng: np.random.Generator, targets: Ints) -> Negatives:
        number = len(self._share) - 1
        own = rng.choice(targets, size=self._batch) if len(targets) else targets
        items, times = np.unique(np.concatenate([rng.integers(1, number + 1, self._uniform), own]), return_counts=True)
        expected = self._uniform / number + len(own) * self._share[items]
        return Negatives(items.astype(np.int64), np.log(times / expected).astype(np.float32))


def sampler(kind: str, counts: npt.NDArray[np.int64], count: int) -> Sampler:
    """The sampler of a name; counts (N + 1,), training interactions of each item."""
    if kind == "popularity":
        return ByPopularity(counts, count)
    if kind == "log-uniform":
        return LogUniform(counts, count)
    if kind == "mixed":
        return Mixed(counts, count)
    return Uniform(len(counts) - 1, count)


def accidental(negatives: Ints, targets: Ints) -> tuple[Ints, Ints]:
    """Rows and columns where a negative is the row's target; `negatives` distinct and rising."""
    at = np.minimum(np.searchsorted(negatives, targets), len(negatives) - 1)
    rows = np.flatnonzero(negatives[at] == targets)
    return rows, at[rows]
