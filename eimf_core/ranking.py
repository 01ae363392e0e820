"""From interests to a ranked list: scores, masks, merge of interests, stable top-k. No torch.

An item's score is the largest inner product over the interests, times the item's scale where the
model has one (cosine). Ties go to the smaller item index, so that results do not depend on order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def score(interests: Floats, vectors: Floats, scale: Floats | None = None) -> tuple[Floats, npt.NDArray[np.int8]]:
    """Scores of all items for each user, and the interest each score comes from.

    interests (B, K, d), vectors (N + 1, d) with row 0 for padding, scale (N + 1,) or None.
    Returns scores (B, N + 1), with column 0 at -inf, and interest (B, N + 1), from 0 to K - 1.
    """
    best = interests[:, 0] @ vectors.T
    source = np.zeros(best.shape, dtype=np.int8)
    for number in range(1, interests.shape[1]):
        current = interests[:, number] @ vectors.T
        higher = current > best
        np.copyto(best, current, where=higher)
        source[higher] = number
    if scale is not None:
        best *= scale
    best[:, 0] = -np.inf
    return best, source


def drop(scores: Floats, rows: list[npt.NDArray[np.integer[Any]]]) -> None:
    """Set the items of each row (such as the history) to -inf, in place."""
    for row, items in enumerate(rows):
        scores[row, items] = -np.inf


def top_k(scores: Floats, k: int) -> Indices:
    """Item indices (B, k) by falling score, ties by rising index; -inf never enters before a score.

    Raises ValueError with the row in `args[1]` when a score is NaN or +inf.
    """
    wrong = np.isnan(scores) | np.isposinf(scores)
    if wrong.any():
        row = int(np.argmax(wrong.any(axis=1)))
        raise ValueError("a score is not finite", row)
    k = min(k, scores.shape[1] - 1)
    # everything at or above the k-th largest score, so that a tie at the border is settled by index
    border = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]
    result = np.empty((len(scores), k), dtype=np.int64)
    for row, limit in enumerate(border):
        candidates = np.flatnonzero(scores[row] >= limit)
        order = np.argsort(-scores[row, candidates], kind="stable")[:k]
        result[row] = candidates[order]
    return result
