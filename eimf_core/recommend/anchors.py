"""Which items of a history made an interest: their shares of its attention, repeats summed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eimf_core.recommend.query_resolution import Floats, Indices

DIGITS = 4
"""Decimal places of a share."""
Shares = list[list[list[tuple[int, float]]]]
"""For each query and each of its interests: item indices and their shares, the largest first."""


def shares(histories: Sequence[Indices], attention: Floats, most: int | None = None, least: float = 0.0) -> Shares:
    """Shares of the distinct items of each history, ties by rising index, `most` of them (all for None).

    Behind the largest only those of at least `least` are given.

    `histories` are what the network read, oldest first, attention (B, K, L) with L at least the longest.
    """
    users, number, width = attention.shape
    items = np.zeros((users, width), dtype=np.int64)
    for row, history in zip(items, histories, strict=True):
        row[: len(history)] = history
    order = np.argsort(items, axis=1, kind="stable")
    items = np.take_along_axis(items, order, axis=1)
    weights = np.take_along_axis(attention.astype(np.float64), order[:, None, :], axis=2)
    # an item stands where it stands first; padding, index 0, nowhere
    first = np.ones(items.shape, dtype=np.bool_)
    first[:, 1:] = items[:, 1:] != items[:, :-1]
    runs = np.add.reduceat(weights.transpose(1, 0, 2).reshape(number, -1), np.flatnonzero(first), axis=1)
    summed = np.full((number, users, width), -1.0)
    summed[:, first] = runs
    summed[:, items == 0] = -1.0
    summed = summed.transpose(1, 0, 2)
    counts = (first & (items > 0)).sum(axis=1)
    kept = int(counts.max(initial=0)) if most is None else min(most, width)
    best = np.argsort(-summed, axis=2, kind="stable")[:, :, :kept]
    values = np.take_along_axis(summed, best, axis=2)
    enough = np.minimum(counts[:, None], np.maximum(1, (values >= least).sum(axis=2))).tolist()
    found = np.take_along_axis(np.broadcast_to(items[:, None], summed.shape), best, axis=2).tolist()
    return [
        [list(zip(row[:number], of, strict=False)) for row, of, number in zip(rows, ofs, numbers, strict=True)]
        for rows, ofs, numbers in zip(found, values.tolist(), enough, strict=True)
    ]


def rounded(share: float) -> float:
    """A share as it is shown."""
    return round(share, DIGITS)


def latest(history: Indices, most: int) -> Indices:
    """The part of a history that the network reads."""
    kept: npt.NDArray[np.int64] = history[-most:]
    return kept
