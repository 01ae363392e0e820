"""Plain words beside a history: both rank, with a weight that can be set, and each item says which of them brought it.

With weight w an item's score is (1 - w) h + w c t: h the score that the history alone gives, t the product with the
place of the words, and c such that the items nearest to the words stand as high above the mean of the catalogue
as the best items for the history do. Without c the words would hardly count: training made the history's scores
reach far, while those of words lie close together. The reading is this project's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.artifact import Model
from eimf_core.recommend.query_resolution import Floats, Indices

BEST = 10
"""Items whose mean score says how high the best stand."""
LARGEST = 200_000
"""Items that the means are taken over, evenly taken from more."""


@dataclass(frozen=True)
class Mixture:
    """Interests (K, d) that give the scores, as the sum of what the history and the words add.

    `own` (K, d) and `words` (d,) are the two parts, `own_mean` and `words_mean` their mean scores over the catalogue.
    """

    own: Floats
    words: Floats
    own_mean: float
    words_mean: float

    @property
    def interests(self) -> Floats:
        """What gives the scores, (K, d)."""
        return self.own + self.words

    def by_words(self, vectors: Floats, scale: Floats | None) -> npt.NDArray[np.bool_]:
        """Of items (n, d), with their scale (n,), those that the words raise higher than the history does."""
        own, words = (vectors @ self.own.T).max(axis=1), vectors @ self.words
        if scale is not None:
            own, words = own * scale, words * scale
        higher: npt.NDArray[np.bool_] = words - self.words_mean > own - self.own_mean
        return higher


def mixture(model: Model, interests: Floats, words: Floats, history: Indices, weight: float) -> Mixture:
    """Interests (K, d) and the place of words (d,) with the weight of the words, from 0 to 1."""
    step = max(1, (len(model.vectors) - 1) // LARGEST)
    vectors, scale = model.vectors[1::step], None if model.scale is None else model.scale[1::step]
    unseen = np.ones(len(model.vectors), dtype=np.bool_)
    unseen[history] = False
    by_own = _scores(interests, vectors, scale)
    by_words = _scores(words[None], vectors, scale)
    height = _height(by_words)
    # words without any direction say nothing
    even = _height(by_own[unseen[1::step]]) / height if height > 0 else 0.0
    return Mixture(
        own=np.asarray((1 - weight) * interests, np.float32),
        words=np.asarray(weight * even * words, np.float32),
        own_mean=(1 - weight) * float(by_own.mean()),
        words_mean=weight * even * float(by_words.mean()),
    )


def _scores(interests: Floats, vectors: Floats, scale: Floats | None) -> Floats:
    with np.errstate(invalid="ignore", over="ignore"):
        best: Floats = (vectors @ interests.T).max(axis=1)
        return best if scale is None else best * scale


def _height(scores: Floats) -> float:
    """How far the mean of the best lies above that of all; 0 for none."""
    if not len(scores):
        return 0.0
    number = min(BEST, len(scores))
    return float(np.partition(scores, len(scores) - number)[-number:].mean() - scores.mean())


def brought_by_words(model: Model, mixed: Mixture, items: list[int]) -> npt.NDArray[np.bool_]:
    """Of items by index, those that the words brought."""
    scale = None if model.scale is None else model.scale[items]
    return mixed.by_words(np.asarray(model.vectors[items], np.float32), scale)
