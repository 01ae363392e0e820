"""Rows of length 1 and the cosines of such rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Floats

SHORTEST = 1e-6
"""A shorter row is what rounding leaves of nothing: it has no direction."""
MIN_LENGTH = 1e-12
"""What a row of zeros is divided by."""


def unit_rows(vectors: npt.NDArray[np.floating[Any]]) -> Floats:
    """Vectors scaled to length 1.

    Args:
        vectors: (..., d), float32 or float64; not of half precision, which would lose digits.

    Returns:
        float32 (..., d). A row shorter than `SHORTEST` becomes zero, so that its cosine to anything is 0.
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = (vectors / np.where(lengths > SHORTEST, lengths, np.inf)).astype(np.float32, copy=False)
    return scaled


def row_lengths(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What rows are divided by to have length 1: their lengths, at least `MIN_LENGTH`.

    Args:
        vectors: (..., d), float32 or float64.

    Returns:
        (...), of the type of the vectors.
    """
    lengths: npt.NDArray[Any] = np.maximum(np.linalg.norm(vectors, axis=-1), MIN_LENGTH)
    return lengths


def mean_pairwise_cosine(vectors: Floats) -> npt.NDArray[np.float64]:
    """Mean cosine over all pairs of rows: 1 when all point the same way.

    Args:
        vectors: (n, K, d), K rows for each of n, none of them zero.

    Returns:
        float64 (n,); NaN where K is 1, since there is no pair.
    """
    number = vectors.shape[1]
    if number < 2:
        return np.full(len(vectors), np.nan)
    # the squared length of a sum of unit vectors is their number plus twice the cosines of all pairs
    squares = (unit_rows(vectors).sum(axis=1, dtype=np.float64) ** 2).sum(axis=1)
    mean: npt.NDArray[np.float64] = (squares - number) / (number * (number - 1))
    return mean
