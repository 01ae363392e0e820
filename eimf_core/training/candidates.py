"""The few items of each validation user among which a weighted sum of scores has its first ten, and the NDCG@10 of such
sums: scores of the whole catalogue are computed once, however many weights are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation.metrics import accuracy
from eimf_core.numeric.arrays import Floats, ShortInts

Weights = npt.NDArray[np.float64]

K = 10
NEVER = np.float32(-1e6)
"""The score of what may not be listed; no product with a weight of 0 makes NaN of it."""
DISCOUNTS = accuracy.discounts(K)


@dataclass(frozen=True)
class CandidateBlock:
    """Some users of the validation split with the items that count for each.

    Attributes:
        items: (B, C), rising, then 0 where a user has fewer.
        scores: what is weighed, (M, B, C).
        owners: the row of each target, (T,).
        targets: its item, (T,); where a catalogue has ten items or more it need not be among `items`.
    """

    items: ShortInts
    scores: Floats
    owners: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]

    def ndcg(self, weights: Weights) -> npt.NDArray[np.float64]:
        """NDCG@10 of each user for a sum, as `evaluation.metrics.accuracy.ndcg`.

        Args:
            weights: (M,).

        Returns:
            (B,).
        """
        scores = np.tensordot(weights.astype(np.float32), self.scores, axes=1)
        wanted = np.bincount(self.owners, minlength=len(self.items))
        items, own = self.items[self.owners], scores[self.owners]
        # a target that is not among the items comes behind all of them
        value = np.where(items == self.targets[:, None], own, -np.inf).max(axis=1, keepdims=True)
        ahead = (own > value) | ((own == value) & (items < self.targets[:, None]))
        gains = np.append(DISCOUNTS, 0.0)[np.minimum(ahead.sum(axis=1), K)]
        ideal = np.concatenate([[1.0], np.cumsum(DISCOUNTS)])[np.minimum(wanted, K)]
        values: npt.NDArray[np.float64] = np.bincount(self.owners, weights=gains, minlength=len(self.items)) / ideal
        return values


def block(
    scores: Sequence[Floats],
    kept: npt.NDArray[np.bool_],
    owners: npt.NDArray[np.int64],
    targets: npt.NDArray[np.integer[Any]],
) -> CandidateBlock:
    """The kept items of some users.

    Args:
        scores: what is weighed, each (B, N + 1).
        kept: which items count, (B, N + 1); never column 0.
        owners: the row of each target, (T,).
        targets: its item, (T,).

    Returns:
        These items with their scores, and the targets.
    """
    columns = np.nonzero(kept)[1]
    sizes = kept.sum(axis=1)
    items = np.zeros((len(kept), int(sizes.max())), dtype=np.int32)
    items[np.arange(items.shape[1]) < sizes[:, None]] = columns
    of_items = [np.maximum(np.take_along_axis(values, items, axis=1), NEVER) for values in scores]
    return CandidateBlock(items, np.stack(of_items), owners, targets.astype(np.int64))


def ndcg(blocks: Sequence[CandidateBlock], weights: Weights) -> npt.NDArray[np.float64]:
    """NDCG@10 of each user for a sum.

    Args:
        blocks: the users, in blocks.
        weights: of the sum, (M,).

    Returns:
        (U,).
    """
    return np.concatenate([each.ndcg(weights) for each in blocks])


def mean_ndcg(blocks: Sequence[CandidateBlock], weights: Weights) -> float:
    """NDCG@10 of all users for a sum.

    Args:
        blocks: the users, in blocks.
        weights: of the sum, (M,).

    Returns:
        The mean over users.
    """
    return float(ndcg(blocks, weights).mean())
