"""The most popular items for everyone: of all time, and of late."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Dataset, SplitData
from eimf_core.evaluation.scorers import Events, Scored, Times
from eimf_core.numeric.arrays import Floats, ShortInts

RECENT = 0.1
"""Share of the training interactions that counts as recent."""


class Popularity:
    """An item's score is the number of its interactions in the training lines."""

    name = "popularity"

    def __init__(self, dataset: Dataset) -> None:
        self._scores = self._counted(dataset)
        self._scores[0] = -np.inf

    def _counted(self, dataset: Dataset) -> Floats:
        return dataset.counts().astype(np.float32)

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        return Scored(np.tile(self._scores, (len(histories), 1)))


class RecentPopularity(Popularity):
    """An item's score is the number of its interactions among the latest tenth of all.

    Without times: among the last tenth of each training line, at least its last item. Items without
    any follow by their popularity of all time. After Ji et al., SIGIR 2020 (RecentPop).
    """

    name = "recent-popularity"

    def _counted(self, dataset: Dataset) -> Floats:
        train = dataset.splits["train"]
        width = len(dataset.vocab) + 1
        recent = np.bincount(train.items[_recent(train)], minlength=width).astype(np.float32)
        counted: Floats = with_popularity_below(recent[None], fallback(dataset.counts()))[0]
        return counted


def _recent(train: SplitData) -> npt.NDArray[np.bool_]:
    if train.times is not None:
        newest: npt.NDArray[np.bool_] = train.times >= np.quantile(train.times, 1 - RECENT, method="higher")
        return newest
    lengths = np.diff(train.offsets)
    recent = np.maximum(np.ceil(lengths * RECENT), 1)
    until_end = np.repeat(train.offsets[1:], lengths) - np.arange(len(train.items))
    last: npt.NDArray[np.bool_] = until_end <= np.repeat(recent, lengths)
    return last


def fallback(counts: npt.NDArray[np.int64]) -> Floats:
    """Popularity as scores below every score of at least 0 that is worth something.

    Args:
        counts: training interactions by item index, (N + 1,).

    Returns:
        (N + 1,), in [-2, -1].
    """
    scores: Floats = (counts / max(1, counts.max()) - 2).astype(np.float32)
    return scores


def with_popularity_below(scores: Floats, popularity: Floats) -> Floats:
    """Scores of which zeros are replaced: who has no evidence goes by popularity.

    Args:
        scores: (B, N + 1), at least 0.
        popularity: of `fallback`, (N + 1,).

    Returns:
        (B, N + 1).
    """
    made: Floats = np.where(scores > 0, scores, popularity)
    return made
