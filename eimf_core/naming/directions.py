"""Names for directions of the item space, made of the words of the items that lie there.

Without labels a model names interests by words. What that takes is worked out once, when the model is written:
directions spread over the catalogue as its items are, and the most telling words of the items that each ranks first.
An interest then takes the words of the nearest direction (see `recommend.naming`).

Word w is weighed by a log(a / n / (c / N)), held by a of n top items and c of N items. The words are those of titles,
and categories as a whole. Source: the Kullback-Leibler term of a word, after Carpineto et al., ACM TOIS 19(1), 2001.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core import ranking
from eimf_core.naming.stop_words import STOP_WORDS
from eimf_core.records import Item

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

LARGEST_SAMPLE = 20_000
"""Items of the catalogue whose words are read, evenly taken."""
DIRECTIONS = 2_048
"""Directions that get a name, at most; each starts at an item, evenly taken."""
NEIGHBOURS = 10
"""Items whose mean is a direction: an interest, too, lies among several items."""
TOP_ITEMS = 30
"""Items of a direction whose words are weighed, but no more than one in PART: what all items share tells nothing."""
PART = 4
LEAST_ITEMS = 3
"""Items among them that must carry a word."""
WORDS = 3
AT_ONCE = 256
WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class WordNames:
    """`names` (n), no two of the same words; `directions` (P, d), of length 1, and the name `of` (P,) each.

    `means` (n, d), of length 1: of all items that carry any of a name's words.
    """

    names: list[str]
    directions: Floats
    of: npt.NDArray[np.int32]
    means: Floats

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """As arrays for a file."""
        named = np.frombuffer(orjson.dumps(self.names), dtype=np.uint8)
        return {"directions": self.directions, "means": self.means, "of": self.of, "names": named}

    @staticmethod
    def from_arrays(arrays: dict[str, npt.NDArray[Any]], width: int) -> WordNames:
        """ValueError for arrays that hold no such names for a space of this width."""
        directions, means, of = (arrays.get(key, np.zeros(0)) for key in ("directions", "means", "of"))
        names = orjson.loads(arrays.get("names", np.zeros(0, np.uint8)).tobytes())
        fits = (
            isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and directions.shape == (of.size, width)
            and of.shape == (of.size,)
            and means.shape == (len(names), width)
            and directions.dtype == means.dtype == np.float32
            and of.dtype == np.int32
            and (not of.size or (of.min() >= 0 and of.max() < len(names)))
        )
        if not fits:
            raise ValueError("not such names")
        return WordNames(names, directions, of, means)


def word_names(size: int, item: Callable[[int], Item], vectors: Floats, scale: Floats | None) -> WordNames:
    """Names for a catalogue of `size` items; `item` gives that of an index from 1.

    vectors (N + 1, d) and scale (N + 1,), N at least `size`: what is ranked as for an interest. Without any
    names when a vector holds what is no number.
    """
    try:
        return _named(size, item, vectors, scale)
    except ValueError:  # of `ranking.top_k`
        nothing = np.zeros((0, vectors.shape[1]), np.float32)
        return WordNames([], nothing, np.zeros(0, np.int32), nothing)


def _named(size: int, item: Callable[[int], Item], vectors: Floats, scale: Floats | None) -> WordNames:
    sample = np.unique(np.linspace(1, size, min(size, LARGEST_SAMPLE)).astype(np.int64))
    catalogue = _Terms([terms(item(int(index))) for index in sample])
    # the place before the first is for padding, as in a model's table
    table = np.concatenate([np.zeros_like(vectors[:1], np.float32), np.asarray(vectors[sample], np.float32)])
    of_table = None if scale is None else np.concatenate([[0.0], scale[sample]]).astype(np.float32)
    items = units(table)
    starts = np.unique(np.linspace(1, len(sample), min(len(sample), DIRECTIONS)).astype(np.int64))
    around = _best(items[starts], table, of_table, NEIGHBOURS)
    directions = units(np.stack([items[row].mean(axis=0) for row in around]))
    numbers: dict[frozenset[str], int] = {}
    of: list[int] = []
    names: list[list[str]] = []
    for row in _best(directions, table, of_table, min(TOP_ITEMS, max(LEAST_ITEMS, len(sample) // PART))):
        chosen = catalogue.telling(row - 1)
        if chosen and frozenset(chosen) not in numbers:
            numbers[frozenset(chosen)] = len(names)
            names.append(chosen)
        of.append(numbers.get(frozenset(chosen), -1))
    told = np.array(of, dtype=np.int32)
    means = [items[catalogue.carrying(chosen) + 1].sum(axis=0) for chosen in names]
    return WordNames(
        [", ".join(chosen) for chosen in names],
        directions[told >= 0],
        told[told >= 0],
        units(np.stack(means)) if means else np.zeros((0, vectors.shape[1]), np.float32),
    )


def _best(directions: Floats, table: Floats, scale: Floats | None, number: int) -> Iterator[Indices]:
    """The places of the best items of each direction."""
    for start in range(0, len(directions), AT_ONCE):
        scores = ranking.best_scores(directions[start : start + AT_ONCE, None], table, scale)
        yield from ranking.top_k(scores, number)


class _Terms:
    """The terms of all items of a sample, by number."""

    def __init__(self, listed: list[list[str]]) -> None:
        numbers: dict[str, int] = {}
        rows = [[numbers.setdefault(term, len(numbers)) for term in row] for row in listed]
        self._names = list(numbers)
        self._rows = [np.array(row, dtype=np.int64) for row in rows]
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        self._counts = np.bincount(flat, minlength=len(numbers))
        self._places = places[np.argsort(flat, kind="stable")]
        self._ends = np.cumsum(self._counts)
        self._numbers = numbers

    def telling(self, items: Indices) -> list[str]:
        """The most telling terms of a few items, by falling weight; none where the items share none."""
        held, counts = np.unique(np.concatenate([self._rows[place] for place in items]), return_counts=True)
        enough = counts >= min(LEAST_ITEMS, len(items))
        held, counts = held[enough], counts[enough]
        weights = counts * np.log(counts * len(self._rows) / (len(items) * self._counts[held]))
        found = sorted(
            (-weight, self._names[term])
            for term, weight in zip(held.tolist(), weights.tolist(), strict=True)
            if weight > 0
        )
        return distinct([term for _, term in found], WORDS)

    def carrying(self, chosen: Iterable[str]) -> Indices:
        """Places of the items that carry any of the terms, each once."""
        numbers = [self._numbers[term] for term in chosen]
        return np.unique(
            np.concatenate([self._places[self._ends[at] - self._counts[at] : self._ends[at]] for at in numbers])
        )


def distinct(words: Sequence[str], most: int) -> list[str]:
    """The first `most` words without those that begin as an earlier one, or that one begins as: plate, plates."""
    kept: list[str] = []
    for word in words:
        if len(kept) == most:
            break
        folded = word.casefold()
        if not any(folded.startswith(other.casefold()) or other.casefold().startswith(folded) for other in kept):
            kept.append(word)
    return kept


def terms(item: Item) -> list[str]:
    """The distinct terms of an item: its categories as they are, and the words of its title in lower case.

    Words that only join others are left out.
    """
    words = (word for word in WORD.findall(item.title.lower()) if word not in STOP_WORDS)
    return list(dict.fromkeys([*item.categories, *words]))


def units(vectors: npt.NDArray[Any]) -> Floats:
    """Rows of length 1, zero rows as they are; (n, d)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return scaled
