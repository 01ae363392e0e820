"""Where an item belongs that training never saw: a linear map from text vectors to trained item vectors.

    W, b = argmin sum_i |W t_i + b - e_i|^2 + r n |W|^2

over the n items with a text, by the normal equations of centred vectors (Hoerl and Kennedy, 1970).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Floats

RIDGE = 1e-4  # r: unit vectors of some hundred directions have variances of about 1e-3 in each
CHUNK = 1 << 14


def fit(text: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Fit the map from text to item vectors.

    Args:
        text: text vectors (N + 1, D), zero where there is no text; row 0 is padding.
        vectors: item vectors (N + 1, d).

    Returns:
        Weight (d, D) and bias (d,), all zero when no item has a text.
    """
    width, text_width = vectors.shape[1], text.shape[1]
    count, text_sum, vector_sum = 0, np.zeros(text_width), np.zeros(width)
    products, targets = np.zeros((text_width, text_width)), np.zeros((text_width, width))
    for start in range(1, len(text), CHUNK):
        known = text[start : start + CHUNK].astype(np.float64)
        placed = vectors[start : start + CHUNK].astype(np.float64)
        there = known.any(axis=1)
        known, placed = known[there], placed[there]
        count += len(known)
        text_sum += known.sum(axis=0)
        vector_sum += placed.sum(axis=0)
        products += known.T @ known
        targets += known.T @ placed
    if not count:
        return np.zeros((width, text_width), np.float32), np.zeros(width, np.float32)
    text_mean, vector_mean = text_sum / count, vector_sum / count
    products -= count * np.outer(text_mean, text_mean)
    targets -= count * np.outer(text_mean, vector_mean)
    weight = np.linalg.solve(products + RIDGE * count * np.eye(text_width), targets).T
    return weight.astype(np.float32), (vector_mean - weight @ text_mean).astype(np.float32)
