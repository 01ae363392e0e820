"""Names for directions of the item space, made of the words of the items that lie there.

Without labels a model names interests by words. What that takes is worked out once, when the model is written:
directions spread over the catalogue as its items are, and the most distinctive terms of the items that each ranks
first. An interest then takes the terms of the nearest direction (see `interest_names.namer_by_words`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core import ranking
from eimf_core.naming.distinctive_terms import TermIndex
from eimf_core.naming.terms import item_terms
from eimf_core.records import Item
from eimf_core.vectors import unit_rows

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
BATCH = 256


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
    """Names for the directions of a catalogue.

    Args:
        size: number of items.
        item: gives the item of an index from 1.
        vectors, scale: (N + 1, d) and (N + 1,) with N at least `size`, what is ranked as for an interest.

    Returns:
        The names; none where a vector is not finite.
    """
    try:
        return _name_directions(size, item, vectors, scale)
    except ValueError:  # of `ranking.top_k`
        nothing = np.zeros((0, vectors.shape[1]), np.float32)
        return WordNames([], nothing, np.zeros(0, np.int32), nothing)


def _name_directions(size: int, item: Callable[[int], Item], vectors: Floats, scale: Floats | None) -> WordNames:
    sample = np.unique(np.linspace(1, size, min(size, LARGEST_SAMPLE)).astype(np.int64))
    catalogue = TermIndex([item_terms(item(int(index))) for index in sample])
    # the row before the first is for padding, as in a model's table
    table = np.concatenate([np.zeros_like(vectors[:1], np.float32), np.asarray(vectors[sample], np.float32)])
    of_table = None if scale is None else np.concatenate([[0.0], scale[sample]]).astype(np.float32)
    items = unit_rows(table)
    starts = np.unique(np.linspace(1, len(sample), min(len(sample), DIRECTIONS)).astype(np.int64))
    around = _top_items(items[starts], table, of_table, NEIGHBOURS)
    directions = unit_rows(np.stack([items[row].mean(axis=0) for row in around]))
    numbers: dict[frozenset[str], int] = {}
    of: list[int] = []
    names: list[list[str]] = []
    for row in _top_items(directions, table, of_table, min(TOP_ITEMS, max(LEAST_ITEMS, len(sample) // PART))):
        chosen = catalogue.distinctive(row - 1, most=WORDS, least_items=LEAST_ITEMS)
        if chosen and frozenset(chosen) not in numbers:
            numbers[frozenset(chosen)] = len(names)
            names.append(chosen)
        of.append(numbers.get(frozenset(chosen), -1))
    named = np.array(of, dtype=np.int32)
    means = [items[catalogue.items_with(chosen) + 1].sum(axis=0) for chosen in names]
    return WordNames(
        [", ".join(chosen) for chosen in names],
        directions[named >= 0],
        named[named >= 0],
        unit_rows(np.stack(means)) if means else np.zeros((0, vectors.shape[1]), np.float32),
    )


def _top_items(directions: Floats, table: Floats, scale: Floats | None, number: int) -> Iterator[Indices]:
    """The rows of the best items of each direction."""
    for start in range(0, len(directions), BATCH):
        scores = ranking.best_scores(directions[start : start + BATCH, None], table, scale)
        yield from ranking.top_k(scores, number)
