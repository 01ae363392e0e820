"""Titles typed by hand: the items that a few words may mean.

Tried in this order: the title as it is; the same without regard to case, accents, punctuation and a
leading or trailing article; the same without the year behind it; titles that hold all the words,
near spellings included. The last step compares words, not characters, so that "toy stroy" finds
"Toy Story (1995)" and two words find a long product title.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from eimf_core.records import Item

NEAR = 82.0
"""Least mean similarity, of 100, of the typed words to the words of a title."""
CLEAR = 88.0
"""Similarity of the whole title from which on a match is taken although others hold the words too."""
MARGIN = 3.0
"""By how much a clear match must beat the next."""
ARTICLES = frozenset(("the", "a", "an", "le", "la", "les", "l", "il", "el", "der", "die", "das"))
YEAR = re.compile(r"\s*\(?\b(1[89]\d\d|20\d\d)\b\)?\s*$")
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Match:
    """What a typed title means: one item, several equally good ones, or none and the nearest.

    `exactly` is false when spelling had to be bent for it.
    """

    found: list[Item]
    nearest: list[Item] = field(default_factory=list)
    exactly: bool = True


def plain(text: str) -> str:
    """Words of a text without case, accents and punctuation; an article at either end is left out.

    The article is what libraries move behind the title: "Shawshank Redemption, The".
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    words = WORD.findall("".join(char for char in decomposed if not unicodedata.combining(char)))
    if len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    elif len(words) > 1 and words[-1] in ARTICLES and "," in text:
        words = words[:-1]
    return " ".join(words)


def without_year(title: str) -> str:
    """A title without the year that stands behind it, and `plain`."""
    return plain(YEAR.sub("", title)) or plain(title)


class Titles:
    """All titles of a catalogue, arranged for looking them up."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._whole: dict[str, list[int]] = {}
        self._plain: dict[str, list[int]] = {}
        self._bare: dict[str, list[int]] = {}
        bare = [without_year(item.title) for item in items]
        for at, item in enumerate(items):
            self._whole.setdefault(item.title, []).append(at)
            self._plain.setdefault(plain(item.title), []).append(at)
            self._bare.setdefault(bare[at], []).append(at)
        vocabulary: dict[str, int] = {}
        words = [[vocabulary.setdefault(word, len(vocabulary)) for word in plain(item.title).split()] for item in items]
        self._bare_titles = bare
        self._vocabulary = list(vocabulary)
        self._filled = np.array([at for at, row in enumerate(words) if row], dtype=np.int64)
        self._words = np.array([word for row in words for word in row], dtype=np.int64)
        lengths = np.array([len(row) for row in words if row], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)

    def find(self, typed: str) -> Match:
        """The items that `typed` may mean."""
        for table, key in ((self._whole, typed), (self._plain, plain(typed)), (self._bare, without_year(typed))):
            # a year that was typed must be there
            if key and key in table and (table is not self._bare or not YEAR.search(typed)):
                return Match([self._items[at] for at in table[key]])
        return self._near(plain(typed))

    def _near(self, typed: str) -> Match:
        if not typed or not len(self._filled):
            return Match([])
        from rapidfuzz import fuzz

        by_words = self._by_words(typed.split())
        order = np.argsort(-by_words, kind="stable")
        held = self._filled[order[: max(3, int((by_words >= NEAR).sum()))]]
        whole = np.array([fuzz.ratio(typed, self._bare_titles[at]) for at in held])
        ranked = [int(held[at]) for at in np.lexsort((held, -whole))]
        good = [at for at in ranked if by_words[np.searchsorted(self._filled, at)] >= NEAR]
        if not good:
            return Match([], [self._items[at] for at in ranked[:3]])
        best, second = [*sorted(whole[by_words[np.searchsorted(self._filled, held)] >= NEAR])[::-1], 0.0][:2]
        clear = len(good) == 1 or (best >= CLEAR and best - second >= MARGIN)
        return Match([self._items[at] for at in (good[:1] if clear else good)], exactly=False)

    def _by_words(self, typed: list[str]) -> npt.NDArray[np.float64]:
        """Mean over the typed words of their similarity to the nearest word of each title that has words."""
        from rapidfuzz import fuzz, process

        similar = process.cdist(typed, self._vocabulary, scorer=fuzz.ratio)
        nearest = np.maximum.reduceat(similar[:, self._words], self._starts, axis=1)
        means: npt.NDArray[np.float64] = nearest.mean(axis=0, dtype=np.float64)
        return means
