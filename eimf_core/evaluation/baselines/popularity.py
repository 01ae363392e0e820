"""The most popular items for everyone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eimf_core.dataset import Dataset, Ints
from eimf_core.evaluation.systems import Floats, Scored


class Popularity:
    """An item's score is the number of its interactions in the training lines."""

    name = "popularity"

    def __init__(self, counts: Floats) -> None:
        """counts (N + 1,), entry 0 for padding."""
        self._scores = np.asarray(counts, dtype=np.float32)
        self._scores[0] = -np.inf

    @classmethod
    def fit(cls, dataset: Dataset) -> Popularity:
        return cls(dataset.counts().astype(np.float32))

    def score(self, histories: Sequence[Ints]) -> Scored:
        return Scored(np.tile(self._scores, (len(histories), 1)))
