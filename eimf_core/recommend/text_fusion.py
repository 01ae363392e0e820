"""Late fusion of plain words with a history: both rank, and each item says which of them brought it.

With weight w an item's score is (1 - w) h + w c t: h the score that the history alone gives, t the product with the
vector of the words, and c such that the items nearest to the words stand as high above the mean of the catalogue
as the best items for the history do. Without c the words would hardly count: training made the history's scores
reach far, while those of words lie close together. The formula is this project's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric.arrays import Floats, Ints

BEST = 10
"""Items whose mean score says how high the best stand."""
LARGEST = 200_000
"""Items that the means are taken over, evenly taken from more."""


@dataclass(frozen=True)
class Fusion:
    """The weighted parts that give the scores of a query with a history and words.

    Attributes:
        history: interests of the history, (K, d).
        text: vector of the words, (d,).
        history_mean, text_mean: the mean scores of the two parts over the catalogue.
        next_items: what the graph of next items adds to the history's part, (N + 1,); None without one.
    """

    history: Floats
    text: Floats
    history_mean: float
    text_mean: float
    next_items: Floats | None = None

    @property
    def interests(self) -> Floats:
        """What gives the scores, (K, d)."""
        return self.history + self.text

    def from_text(self, model: OpenedModel, items: list[int]) -> npt.NDArray[np.bool_]:
        """Which items the words raise higher above the mean than the history does.

        Args:
            model: the opened model.
            items: indices (n).

        Returns:
            (n,).
        """
        vectors = np.asarray(model.vectors[items], np.float32)
        by_history, by_text = (vectors @ self.history.T).max(axis=1), vectors @ self.text
        if model.scale is not None:
            by_history, by_text = by_history * model.scale[items], by_text * model.scale[items]
        if self.next_items is not None:
            by_history = by_history + self.next_items[items]
        higher: npt.NDArray[np.bool_] = by_text - self.text_mean > by_history - self.history_mean
        return higher


def fuse(model: OpenedModel, interests: Floats, text: Floats, history: Ints, weight: float) -> Fusion:
    """Weigh the interests of a history against words.

    Args:
        model: the opened model.
        interests: (K, d).
        text: vector of the words, (d,).
        history: item indices, which are no candidates when it is measured how high the best stand.
        weight: of the words, from 0 to 1.

    Returns:
        The weighted parts of the scores.
    """
    step = max(1, (len(model.vectors) - 1) // LARGEST)
    vectors, scale = model.vectors[1::step], None if model.scale is None else model.scale[1::step]
    unseen = np.ones(len(model.vectors), dtype=np.bool_)
    unseen[history] = False
    by_history, added = _scores(interests, vectors, scale), None
    if model.next_items is not None:
        added = np.zeros((1, len(model.vectors)), np.float32)
        model.next_items.add(added, [history])
        by_history = by_history + added[0, 1::step]
    by_text = _scores(text[None], vectors, scale)
    margin = _margin(by_text)
    # words without any direction say nothing
    even = _margin(by_history[unseen[1::step]]) / margin if margin > 0 else 0.0
    return Fusion(
        history=np.asarray((1 - weight) * interests, np.float32),
        text=np.asarray(weight * even * text, np.float32),
        history_mean=(1 - weight) * float(by_history.mean()),
        text_mean=weight * even * float(by_text.mean()),
        next_items=None if added is None else np.asarray((1 - weight) * added[0], np.float32),
    )


def _scores(interests: Floats, vectors: Floats, scale: Floats | None) -> Floats:
    with np.errstate(invalid="ignore", over="ignore"):
        best: Floats = (vectors @ interests.T).max(axis=1)
        return best if scale is None else best * scale


def _margin(scores: Floats) -> float:
    """How far the mean of the best lies above that of all; 0 for none."""
    if not len(scores):
        return 0.0
    number = min(BEST, len(scores))
    return float(np.partition(scores, len(scores) - number)[-number:].mean() - scores.mean())
