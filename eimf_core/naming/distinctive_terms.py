"""Which terms tell a group of titles from the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from eimf_core.naming.terms import title_terms, without_variants
from eimf_core.numeric.arrays import Ints


def divergence(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How distinctive each word is of each class, from how often it stands there.

    Args:
        counts: float64 (classes, words).

    Returns:
        float64 (classes, words): p log(p / q) with p the word's share of the class and q its share of all classes.
        A word that is frequent everywhere has about 0.

    Source: the Kullback-Leibler term of a word, after Carpineto et al., ACM TOIS 19(1), 2001.
    """
    inside = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    everywhere = counts.sum(axis=0) / max(counts.sum(), 1)
    ratio = np.divide(inside, everywhere, out=np.ones_like(inside), where=inside > 0)
    weighted: npt.NDArray[np.float64] = inside * np.log(ratio)
    return weighted


class TermIndex:
    """The terms of all items of a sample, by number; `terms` (one list an item) as `terms.item_terms` gives them."""

    def __init__(self, terms: list[list[str]]) -> None:
        numbers: dict[str, int] = {}
        rows = [[numbers.setdefault(term, len(numbers)) for term in row] for row in terms]
        self._names = list(numbers)
        self._rows = [np.array(row, dtype=np.int64) for row in rows]
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        self._counts = np.bincount(flat, minlength=len(self._names))

    def distinctive(self, items: Ints, *, most: int, least_items: int) -> list[str]:
        """The most distinctive terms of a few items, by falling weight; none where the items share none.

        The weight is a log(a / n / (c / N)) for a term of a of the n items and c of all N (see `divergence`).

        Args:
            items: int64 (n,), positions of items in the sample.
            most: how many terms.
            least_items: how many of the items must have a term.

        Returns:
            At most `most` terms.
        """
        held, counts = np.unique(np.concatenate([self._rows[at] for at in items]), return_counts=True)
        shared = counts >= min(least_items, len(items))
        held, counts = held[shared], counts[shared]
        weights = counts * np.log(counts * len(self._rows) / (len(items) * self._counts[held]))
        found = sorted(
            (-weight, self._names[term])
            for term, weight in zip(held.tolist(), weights.tolist(), strict=True)
            if weight > 0
        )
        return without_variants([term for _, term in found], most)


class TfIdf:
    """Class-based TF-IDF over the distinct titles of a corpus; `terms_of` takes a title apart.

    Source: Grootendorst, arXiv 2203.05794, with the number of titles instead of the mean size of a class, since
    groups are a few titles.
    """

    LONGEST_TERM = 32  # characters

    def __init__(self, corpus: Iterable[str], terms_of: Callable[[str], list[str]] = title_terms) -> None:
        self._terms_of = terms_of
        found = [set(terms_of(title)) for title in corpus]
        self._frequencies = Counter(term for title in found for term in title)
        self._titles = len(found)

    def distinctive(self, titles: Sequence[str]) -> list[str]:
        """The terms of some titles, the most distinctive first, none made of words that are there already.

        The weight is tf * log(1 + N / f): tf the number of these titles with the term, f that of all N titles.
        Terms of a single title count only where no two titles share one.
        """
        occurrences = (term for title in titles for term in dict.fromkeys(self._terms_of(title)))
        inside = Counter(term for term in occurrences if len(term) <= self.LONGEST_TERM)
        shared = {term: count for term, count in inside.items() if count > 1} or inside
        weight = {term: count * math.log1p(self._titles / self._frequencies[term]) for term, count in shared.items()}
        kept: list[str] = []
        used: set[str] = set()
        for term in sorted(weight, key=lambda term: (-weight[term], -len(term.split()), term)):
            if not used.intersection(term.split()):
                kept.append(term)
                used.update(term.split())
        return kept
