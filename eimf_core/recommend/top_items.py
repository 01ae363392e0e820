"""The best items of each row of scores, as lists."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from eimf_core.errors import ModelError
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats, Ints

TopItems = tuple[list[int], list[float]]
"""Item indices and their scores, best first."""
DIGITS = 6
"""Decimal places of a score."""


def top_items(scores: Floats, k: int, min_score: float | None) -> list[TopItems]:
    """The k best items of each row.

    Args:
        scores: (B, N + 1); -inf for what may not be listed.
        k: how many, at most.
        min_score: the least score of a listed item; None for any.

    Returns:
        For each row item indices and their scores, best first, rounded to DIGITS.

    Raises:
        ModelError: a score is no number.
    """
    try:
        best = ranking.top_k(scores, k)
    except ValueError as error:
        raise no_number(str(error.args[0])) from None
    values = np.take_along_axis(scores, best, axis=1)
    listed = np.isfinite(values) if min_score is None else np.isfinite(values) & (values >= min_score)
    # scores fall along a row, so that what is listed stands in front
    counts = listed.sum(axis=1).tolist()
    rounded = np.round(values.astype(np.float64), DIGITS).tolist()
    if listed.all():
        return list(zip(best.tolist(), rounded, strict=True))
    return [(row[:count], of[:count]) for row, of, count in zip(best.tolist(), rounded, counts, strict=True)]


def top_pairs(rows: Ints, items: Ints, scores: Floats, users: int, k: int, min_score: float | None) -> list[TopItems]:
    """As `top_items`, of some items of each row, which may be listed.

    Args:
        rows: of each pair, (n,).
        items: their item indices, (n,).
        scores: (n,).
        users: how many rows there are.
        k: how many items a row gets.
        min_score: least score of a listed item, if there is one.

    Returns:
        For each row item indices and their scores, best first, rounded to DIGITS.

    Raises:
        ModelError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise no_number("a score is not finite")
    order = np.lexsort((items, -scores, rows))
    if min_score is not None:
        order = order[scores[order] >= min_score]
    counts = np.bincount(rows[order], minlength=users)
    places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = order[places < k]
    ends = [0, *np.cumsum(np.minimum(counts, k)).tolist()]
    found, rounded = items[order].tolist(), np.round(scores[order].astype(np.float64), DIGITS).tolist()
    return [(found[start:end], rounded[start:end]) for start, end in pairwise(ends)]


def no_number(problem: str) -> ModelError:
    """What is said of a model that gives such a score; `problem` says what came up."""
    return ModelError(f"the model gives a score that is no number ({problem}); train it again")
