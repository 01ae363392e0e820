"""Titles typed by hand: the items that a few words may mean.

Tried in this order: the title as it is; the same without regard to case, accents, punctuation and a
leading or trailing article; the same without the year behind it; the same without anything in parentheses
behind it, such as another title; titles that hold all the words, near spellings included. The last step
compares words, not characters, so that "toy stroy" finds "Toy Story (1995)" and two words find a long
product title.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

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
YEAR = re.compile(r"\(?\b(1[89]\d\d|20\d\d)\b\)?$")
YEAR_WIDTH = len("-(1999)")
"""The year in parentheses, and what stands before it."""
WORD = re.compile(r"[^\W_]+")
MAX_MATCHES = 50
"""Items of a match that are named."""
NEAREST = 3
FEW = 12
"""Look-ups that go through all titles; after these, tables are made."""
MAX_WORDS = 32
"""Typed words that are compared."""
LOWERED = bytes(
    code + 32 if 65 <= code <= 90 else code if chr(code).isalnum() or code == 10 else 32 for code in range(256)
)
"""ASCII in lower case, with a space for what is neither letter, digit nor the end of a line."""


@dataclass(frozen=True)
class Match:
    """What a typed title means: one item, several equally good ones, or none and the nearest.

    Of very many `others` are counted only. `exact` is false when spelling had to be bent for it.
    """

    found: list[Item]
    nearest: list[Item] = field(default_factory=list)
    others: int = 0
    exact: bool = True


def plain(text: str) -> str:
    """Words of a text without case, accents and punctuation; an article at either end is left out.

    The article is what libraries move behind the title: "Shawshank Redemption, The".
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    words = WORD.findall("".join(char for char in decomposed if not unicodedata.combining(char)))
    return " ".join(_without_article(words, text))


def _without_article(words: list[str], text: str) -> list[str]:
    if len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    elif len(words) > 1 and words[-1] in ARTICLES and "," in text:
        words = words[:-1]
    return words


def without_year(title: str) -> str:
    """A title without the year that stands behind it, and `plain`."""
    return plain(title[: _year_start(title)]) or plain(title)


def without_parentheses(title: str) -> str:
    """A title without its year and what else stands in parentheses behind it, and `plain`."""
    bare = title[: _year_start(title)].rstrip()
    while bare.endswith(")") and bare.rfind("(") > 0:
        bare = bare[: bare.rfind("(")].rstrip()
    return plain(bare) or plain(title)


SHORTENED = {"bare": without_year, "short": without_parentheses}
"""Titles of which a part is left out, each in its way."""


def _year_start(title: str) -> int | None:
    """Where the year behind a title begins; None where there is none."""
    # only the end is searched: over many blanks a search of the whole title takes quadratic time
    end = len(title.rstrip())
    start = max(0, end - YEAR_WIDTH)
    found = YEAR.search(title[start:end])
    return start + found.start() if found else None


def all_plain(titles: Sequence[str]) -> list[str]:
    """`plain` of each title; those in ASCII, which are most in many catalogues, all at once."""
    made = [""] * len(titles)
    simple = [at for at, title in enumerate(titles) if title.isascii() and "\n" not in title]
    lowered = "\n".join([titles[at] for at in simple]).encode("ascii").translate(LOWERED).decode("ascii")
    for at, words in zip(simple, lowered.split("\n"), strict=True) if simple else ():
        made[at] = " ".join(_without_article(words.split(), titles[at]))
    for at in set(range(len(titles))) - set(simple):
        made[at] = plain(titles[at])
    return made


class Titles:
    """All titles of a catalogue, arranged step by step as far as looking up needs it.

    `item` gives the item of a place, from 0.
    """

    def __init__(self, titles: Sequence[str], item: Callable[[int], Item]) -> None:
        self._titles, self._item = titles, item
        self._looked_up = 0
        self._tables: dict[str, dict[str, list[int]]] = {}

    def find(self, typed: str) -> Match:
        """The items that `typed` may mean."""
        kinds = [("whole", typed), ("plain", plain(typed))]
        # a year that was typed must be there
        kinds += [] if _year_start(typed) is not None else [(kind, plain(typed)) for kind in SHORTENED]
        for kind, key in kinds:
            if key and (found := self._places(kind, key)):
                return self._match(found, exact=kind != "short")
        return self._near(plain(typed))

    def _match(self, found: Sequence[int], *, exact: bool = True) -> Match:
        return Match(
            [self._item(at) for at in found[:MAX_MATCHES]], others=max(0, len(found) - MAX_MATCHES), exact=exact
        )

    def _places(self, kind: str, key: str) -> list[int]:
        """Places of titles with this key, rising. A table pays off when many are looked up."""
        keys = self._titles if kind == "whole" else self._plain
        self._looked_up += 1
        shorten = SHORTENED.get(kind)
        if self._looked_up <= FEW and shorten is None:
            return [at for at, of in enumerate(keys) if of == key]
        if self._looked_up <= FEW and shorten is not None:
            # without its end a title begins as with it
            begun = [at for at, of in enumerate(keys) if of.startswith(key)]
            return [at for at in begun if shorten(self._titles[at]) == key]
        if kind not in self._tables:
            table: dict[str, list[int]] = {}
            for at, of in enumerate(keys if shorten is None else map(shorten, self._titles)):
                table.setdefault(of, []).append(at)
            self._tables[kind] = table
        return self._tables[kind].get(key, [])

    @cached_property
    def _plain(self) -> list[str]:
        return all_plain(self._titles)

    @cached_property
    def _words(self) -> _Words:
        return _Words(self._plain)

    def _near(self, typed: str) -> Match:
        words = self._words
        if not typed or not len(words.filled):
            return Match([])
        by_words = words.likeness(typed.split()[:MAX_WORDS])
        near = by_words >= NEAR
        if not near.any():
            ranked, _ = self._by_title(typed, words.filled[np.argsort(-by_words, kind="stable")[:NEAREST]])
            return Match([], [self._item(at) for at in ranked])
        good, likeness = self._by_title(typed, words.filled[near])
        best, second = [*likeness[:2], 0.0][:2]
        clear = len(good) == 1 or (best >= CLEAR and best - second >= MARGIN)
        return self._match(good[:1] if clear else good, exact=False)

    def _bare(self, at: int) -> str:
        """`without_year` of a title; what ends in no digit has no year."""
        words = self._plain[at]
        return without_year(self._titles[at]) if words[-1:].isdigit() else words

    def _by_title(self, typed: str, places: npt.NDArray[np.int64]) -> tuple[list[int], list[float]]:
        """Places by falling likeness of the whole title, ties by rising place, and that likeness."""
        from rapidfuzz import fuzz, process

        bare = [self._bare(at) for at in places.tolist()]
        likeness = process.cdist([typed], bare, scorer=fuzz.ratio, dtype=np.float64)[0]
        order = np.lexsort((places, -likeness))
        return places[order].tolist(), likeness[order].tolist()


class _Words:
    """The words of all titles. `filled` are the places of titles that have any."""

    def __init__(self, titles: Sequence[str]) -> None:
        # words stand apart by single spaces; all at once, since a loop over a million titles takes seconds
        words = " ".join(titles).split()
        lengths = np.fromiter((title.count(" ") + 1 if title else 0 for title in titles), np.int64, len(titles))
        self._vocabulary = list(dict.fromkeys(words))
        numbers = dict(zip(self._vocabulary, range(len(self._vocabulary)), strict=True))
        self.filled = np.flatnonzero(lengths)
        self._words = np.fromiter(map(numbers.__getitem__, words), np.int32, len(words))
        self._starts = np.concatenate([[0], np.cumsum(lengths[self.filled])[:-1]]).astype(np.int64)

    def likeness(self, typed: list[str]) -> npt.NDArray[np.float64]:
        """Mean over the typed words of their similarity to the nearest word of each title that has words."""
        from rapidfuzz import fuzz, process

        total = np.zeros(len(self.filled))
        for word in typed:
            similar = process.cdist([word], self._vocabulary, scorer=fuzz.ratio)[0]
            total += np.maximum.reduceat(similar[self._words], self._starts)
        means: npt.NDArray[np.float64] = total / len(typed)
        return means
