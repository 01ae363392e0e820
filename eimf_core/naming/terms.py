"""Titles and items taken apart into terms."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eimf_core.naming.stop_words import LABEL_STOP_WORDS, NAME_STOP_WORDS
from eimf_core.records import Item

WORD = re.compile(r"[^\W\d_][^\W_]*(?:['’][^\W_]+)*")
NAME_WORD = re.compile(r"[^\W\d_]{3,}")


def title_words(title: str) -> list[str]:
    """The words of a title in order, in lower case, without numbers, single letters and stop words."""
    found = (match.group().casefold().replace("’", "'") for match in WORD.finditer(title))
    return [word for word in found if len(word) > 1 and word not in LABEL_STOP_WORDS]


def title_terms(title: str) -> list[str]:
    """The words of a title and the pairs of neighbours among them, repeats included."""
    words = title_words(title)
    return [*words, *(f"{first} {second}" for first, second in itertools.pairwise(words) if first != second)]


def item_terms(item: Item) -> list[str]:
    """The distinct terms of an item: its categories as they are, and the words of its title in lower case."""
    words = (word for word in NAME_WORD.findall(item.title.lower()) if word not in NAME_STOP_WORDS)
    return list(dict.fromkeys([*item.categories, *words]))


def word_counts(titles: Sequence[str]) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which words stand in which titles.

    Args:
        titles: n titles.

    Returns:
        The vocabulary, and pairs of a title and a word of it as two arrays int64 (P,): each distinct word of a title is
        one pair.
    """
    vocabulary: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, title in enumerate(titles):
        for word in dict.fromkeys(title_words(title)):
            rows.append(row)
            columns.append(vocabulary.setdefault(word, len(vocabulary)))
    return list(vocabulary), np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)


def without_variants(words: Sequence[str], most: int) -> list[str]:
    """The first `most` words without those that begin as an earlier one, or that one begins as: plate, plates."""
    kept: list[str] = []
    for word in words:
        if len(kept) == most:
            break
        folded = word.casefold()
        if not any(folded.startswith(other.casefold()) or other.casefold().startswith(folded) for other in kept):
            kept.append(word)
    return kept


def cut_at_word(words: str, most: int) -> str:
    """Words, no longer than so many characters; a last word that does not fit is left out."""
    if len(words) <= most:
        return words
    whole = words[:most].rsplit(" ", 1)[0].rstrip(" ,&")
    return whole if any(map(str.isalpha, whole)) else words[:most]
