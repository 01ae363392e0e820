"""Names for behavioural interests: the nearest semantic interest, or the most telling words.

A model that was trained with labels has named vectors in the item space (the adapter's work); an
interest takes the name of the nearest, by cosine. Without labels the words of the items that the
interest ranks first are weighed against the words of the catalogue, and the cosine is to the mean
of all items that carry the words. A name below the threshold is withheld.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.artifact import Model
from eimf_core.recommend.stopwords import STOP_WORDS
from eimf_core.records import Item

Floats = npt.NDArray[np.float32]
Named = tuple[str | None, float | None]

TOP_ITEMS = 30
"""Items of an interest whose words are weighed."""
LEAST_ITEMS = 3
"""Items among them that must carry a word."""
LARGEST_CACHE = 1 << 12
"""Means that are kept of words chosen before."""
LARGEST_SAMPLE = 20_000
"""Items of the catalogue that the words are compared with, evenly taken."""
WORDS = 3
WORD = re.compile(r"[^\W\d_]{3,}")


class Names(Protocol):
    """Gives each interest a name with its similarity, or neither."""

    def names(self, interests: Floats) -> list[Named]:
        """Name and cosine of each interest; interests (n, d)."""


def names_of(model: Model, threshold: float) -> Names:
    """What names the interests of a model."""
    if model.named:
        return NearestNames(model, threshold)
    return TellingWords(model, threshold)


class NearestNames:
    """Names by the nearest named vector."""

    def __init__(self, model: Model, threshold: float) -> None:
        self._names = [interest.name for interest in model.named]
        self._vectors = units(model.named_vectors)
        self._threshold = threshold

    def names(self, interests: Floats) -> list[Named]:
        cosines = units(interests) @ self._vectors.T
        nearest = cosines.argmax(axis=1)
        best = np.take_along_axis(cosines, nearest[:, None], axis=1)[:, 0]
        rounded = np.round(best.astype(np.float64), 4).tolist()
        return [
            (self._names[at] if value >= self._threshold else None, value)
            for at, value in zip(nearest.tolist(), rounded, strict=True)
        ]


class TellingWords:
    """Names by words: w is weighed by a log(a / n / (c / N)), held by a of n top items and c of N items.

    The words are those of titles, and categories as a whole. Source: the Kullback-Leibler term of a
    word, after Carpineto et al., ACM TOIS 19(1), 2001.
    """

    def __init__(self, model: Model, threshold: float) -> None:
        self._model = model
        self._threshold = threshold
        self._terms: dict[int, list[str]] = {}
        size = len(model.catalogue)
        self._sample = np.unique(np.linspace(1, size, min(size, LARGEST_SAMPLE)).astype(np.int64))
        self._carrying: dict[str, list[int]] | None = None
        self._means: dict[tuple[str, ...], Floats] = {}

    def names(self, interests: Floats) -> list[Named]:
        if self._carrying is None:
            self._units = units(np.asarray(self._model.vectors[self._sample], np.float32))
            carrying: dict[str, list[int]] = {}
            for at, index in enumerate(self._sample.tolist()):
                for term in self._terms_of(index):
                    carrying.setdefault(term, []).append(at)
            # last: several threads may come by here
            self._carrying = carrying
        top = self._top(interests)
        return [self._name(interest, items) for interest, items in zip(units(interests), top, strict=True)]

    def _top(self, interests: Floats) -> npt.NDArray[np.int64]:
        # items that came after training stand behind, and have no terms in the model
        known, scale = len(self._model.catalogue) + 1, self._model.scale
        vectors = self._model.vectors[:known]
        scores = ranking.best_scores(interests[:, None, :], vectors, None if scale is None else scale[:known])
        return ranking.top_k(scores, TOP_ITEMS)

    def _name(self, interest: Floats, items: npt.NDArray[np.int64]) -> Named:
        assert self._carrying is not None
        known = self._carrying
        held = Counter(term for index in items for term in self._terms_of(int(index)))
        weights = {
            term: count * np.log(count * len(self._sample) / (len(items) * max(count, len(known.get(term, ())))))
            for term, count in held.items()
            if count >= min(LEAST_ITEMS, len(items))
        }
        words = sorted(
            (term for term, weight in weights.items() if weight > 0), key=lambda term: (-weights[term], term)
        )
        if not words:
            return None, None
        chosen = _distinct(words)[:WORDS]
        similarity = round(float(self._mean(chosen) @ interest), 4)
        return (", ".join(chosen) if similarity >= self._threshold else None), similarity

    def _mean(self, terms: list[str]) -> Floats:
        """Unit vector of the items of the sample that carry any of the terms."""
        assert self._carrying is not None
        key = tuple(terms)
        mean = self._means.get(key)
        if mean is None:
            places = np.unique(np.concatenate([self._carrying.get(term, []) for term in terms])).astype(np.int64)
            mean = units(self._units[places].sum(axis=0, keepdims=True))[0]
            if len(self._means) < LARGEST_CACHE:
                self._means[key] = mean
        return mean

    def _terms_of(self, index: int) -> list[str]:
        if index not in self._terms:
            self._terms[index] = terms(self._model.catalogue.item(index))
        return self._terms[index]


def _distinct(words: list[str]) -> list[str]:
    """Words without those that begin as an earlier one, or that an earlier one begins as: plate, plates."""
    kept: list[str] = []
    for word in words:
        folded = word.casefold()
        if not any(folded.startswith(other.casefold()) or other.casefold().startswith(folded) for other in kept):
            kept.append(word)
    return kept


def terms(item: Item) -> list[str]:
    """The distinct terms of an item: its categories as they are, and the words of its title in lower case.

    Words that only join others are left out.
    """
    words: Iterable[str] = (word for word in WORD.findall(item.title.lower()) if word not in STOP_WORDS)
    return list(dict.fromkeys([*item.categories, *words]))


def units(vectors: npt.NDArray[Any]) -> Floats:
    """Rows of length 1, zero rows as they are; (n, d)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return scaled
