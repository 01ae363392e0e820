"""Ranked lists for a batch: what may stand in them, merged or one for each interest, varied or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.errors import ModelError
from eimf_core.recommend.query_resolution import Asked, Floats

Best = tuple[list[int], list[float]]
"""Item indices and their scores, best first."""
DIGITS = 6
"""Decimal places of a score."""


@dataclass(frozen=True)
class Ranked:
    """One list, best first: item indices, their scores, and the interest each comes from (none by popularity).

    `lengths`: of the lists that stand one behind the other, each with ranks from 1; None for one.
    """

    items: list[int]
    scores: list[float]
    interests: list[int]
    lengths: list[int] | None = None

    @property
    def ranks(self) -> Sequence[int]:
        """The rank of each item in its list."""
        if self.lengths is None:
            return range(1, len(self.items) + 1)
        return [rank for length in self.lengths for rank in range(1, length + 1)]


def restrict(scores: Floats, asked: Sequence[Asked], allowed: npt.NDArray[np.bool_] | None) -> None:
    """Set what may not be listed to -inf, in place: seen or excluded items and those outside `only`.

    scores (B, N + 1); `allowed` (N + 1,) holds for all rows.
    """
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    for row, query in zip(scores, asked, strict=True):
        if not query.keep_seen:
            row[query.history] = -np.inf
        if len(query.excluded):
            row[query.excluded] = -np.inf
        if query.only is not None:
            kept = row[query.only]
            row[:] = -np.inf
            row[query.only] = kept
            row[0] = -np.inf


def best(scores: Floats, number: int, least: float | None) -> list[Best]:
    """The `number` best items of each row with their scores, those that may not be listed left out."""
    try:
        items = ranking.top_k(scores, number)
    except ValueError as error:
        raise ModelError(f"the model gives a score that is no number ({error.args[0]}); train it again") from None
    values = np.take_along_axis(scores, items, axis=1)
    listed = np.isfinite(values) if least is None else np.isfinite(values) & (values >= least)
    # scores fall along a row, so that what is listed stands in front
    counts = listed.sum(axis=1).tolist()
    rounded = np.round(values.astype(np.float64), DIGITS).tolist()
    if listed.all():
        return list(zip(items.tolist(), rounded, strict=True))
    return [(row[:count], of[:count]) for row, of, count in zip(items.tolist(), rounded, counts, strict=True)]
