"""Words of titles, and which of them tell one group of titles from the others."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WORD = re.compile(r"[^\W\d_][^\W_]*(?:['’][^\W_]+)*")
# English words that say nothing of a title; in other languages the weighting alone has to do
_FUNCTION_WORDS = """
a about above after again all am an and any are as at be been before below between both but by can could
description did do does down each else etc few for from further had has have he her here hers him his how i if
in interest interests into is it item items its just la le me more most my name names new no nor not of off on
once only or other our out over own part per pt s same she so some such t than that the their them then there
these they this those through title titles to too under until up upon very vol volume was we were what when
where which while who whom why will with without you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def title_words(title: str) -> list[str]:
    """The words of a title in order, in lower case, without numbers, single letters and function words."""
    found = (match.group().casefold().replace("’", "'") for match in WORD.finditer(title))
    return [word for word in found if len(word) > 1 and word not in FUNCTION_WORDS]


def terms(title: str) -> list[str]:
    """The words of a title and the pairs of neighbours among them, repeats included."""
    words = title_words(title)
    return [*words, *(f"{first} {second}" for first, second in itertools.pairwise(words) if first != second)]


def cut(words: str, most: int) -> str:
    """Words, no longer than so many characters; a last word that does not fit is left out."""
    if len(words) <= most:
        return words
    whole = words[:most].rsplit(" ", 1)[0].rstrip(" ,&")
    return whole if any(map(str.isalpha, whole)) else words[:most]


def telling(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How much each word tells of each class, (classes, words), from how often it stands there.

    p log(p / q) with p the word's share of the class and q its share of all classes: its part of
    the Kullback-Leibler divergence, so that a word that is frequent everywhere tells nothing.
    """
    inside = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    everywhere = counts.sum(axis=0) / max(counts.sum(), 1)
    ratio = np.divide(inside, everywhere, out=np.ones_like(inside), where=inside > 0)
    weighted: npt.NDArray[np.float64] = inside * np.log(ratio)
    return weighted


def word_counts(titles: Sequence[str]) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The vocabulary, and pairs (title, word) as two arrays, one pair for each distinct word of a title."""
    vocabulary: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, title in enumerate(titles):
        for word in dict.fromkeys(title_words(title)):
            rows.append(row)
            columns.append(vocabulary.setdefault(word, len(vocabulary)))
    return list(vocabulary), np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)
