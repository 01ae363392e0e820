"""A graph of next items: what followed each item in training histories, as a second part of a model's score.

    score(x) = vector score(x) + weight * sum over j < last of decay^j A[item_j, x]

item_0 is the last item of the history, item_1 the one before it. A is a sparse matrix: for each item its neighbours
and their values (`training.next_item_graph` counts it). Where it helps, items of like texts are neighbours too
(`training.text_neighbours`). An item without edges, such as one that came after training, adds nothing and gets
nothing. Read with numpy; a model directory without the file has no such part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from eimf_core.errors import ModelError
from eimf_core.numeric.arrays import Arrays, Floats, Ints

PART = "next_items.safetensors"
MAX_NEIGHBOURS = 100
"""Neighbours of an item at most, by histories as by text, those with the largest values."""
MAX_EDGES = 20_000_000
"""In a catalogue that would have more edges than these, items have fewer neighbours."""
MAX_ITEMS = 100
"""Items of a history that may count."""
LARGEST_WEIGHT = 1e9


def most_neighbours(items: int) -> int:
    """How many neighbours an item of a catalogue of so many items may have."""
    return min(MAX_NEIGHBOURS, most_edges(items))


def most_edges(items: int) -> int:
    """How many edges each of so many items has in the largest graph."""
    return max(1, MAX_EDGES // max(1, items))


class NextItemsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the graph counts in the score: `weight` against the vector score, `decay` from each of the `last` items
    of a history to the one before it. `backward` is what it was counted with (see `training.next_item_graph`), `text`
    what the cosine of two texts adds to a value (see `training.text_neighbours`)."""

    weight: float
    decay: float
    last: int
    backward: float = 0.0
    text: float = 0.0


class NextItemScores(NamedTuple):
    """What a graph adds to scores: for each edge the row of its history, an item index, and how much (E,).

    The edges of a row come item by item of its history, so that a sum is the same whatever else is asked.
    """

    rows: Ints
    items: npt.NDArray[np.integer[Any]]
    values: Floats

    def of_rows(self, rows: slice) -> NextItemScores:
        """Those of the histories from `rows.start` to `rows.stop`, which are rising."""
        part = slice(*np.searchsorted(self.rows, (rows.start, rows.stop)))
        return NextItemScores(self.rows[part] - rows.start, self.items[part], self.values[part])

    def of_pairs(self, rows: Ints, items: Ints) -> Floats:
        """What is added to some scores.

        Args:
            rows: of histories, (n,).
            items: an item index for each, (n,), each pair once.

        Returns:
            (n,).
        """
        sums = np.zeros(len(items), np.float32)
        if len(items) and len(self.items):
            width = 1 + max(int(items.max()), int(self.items.max()))
            keys = rows * width + items
            order = np.argsort(keys)
            asked = self.rows * width + self.items
            places = order[np.minimum(np.searchsorted(keys, asked, sorter=order), len(order) - 1)]
            there = keys[places] == asked
            np.add.at(sums, places[there], self.values[there])
        return sums

    def divided_by(self, steps: Floats) -> NextItemScores:
        """What is added to scores that are counted in steps.

        Args:
            steps: those of each history, (B,).

        Returns:
            The same additions in these steps.
        """
        return self._replace(values=self.values / steps[self.rows])

    def add_to(self, scores: Floats, columns: npt.NDArray[np.integer[Any]] | None = None) -> None:
        """Add to vector scores, in place; -inf stays what it is.

        Args:
            scores: (B, W), contiguous.
            columns: that of each edge (E,); None where it is the item index.
        """
        found = self.items if columns is None else columns
        np.add.at(scores.reshape(-1), self.rows * scores.shape[1] + found, self.values)


class NextItems:
    """The graph of a model.

    `arrays` are those of the file: `starts` int64 (N + 2,), where the neighbours of each item index begin, and the
    end; `items` int32 (E,), their indices, each once in a row; `values` float32 (E,) of A.
    """

    def __init__(self, arrays: Arrays, config: NextItemsConfig, name: str = "the model") -> None:
        self.arrays, self.config, self._name = arrays, config, name
        self._starts, self._items, self._values = arrays["starts"], arrays["items"], arrays["values"]
        self._factors = np.array([config.weight * config.decay**back for back in range(config.last)], np.float32)

    def recent(self, histories: Sequence[npt.NDArray[np.integer[Any]]]) -> Ints:
        """The items (B, last) that count, the last one of each history first; 0 where there is none with edges."""
        found = np.zeros((len(histories), self.config.last), dtype=np.int64)
        for row, history in zip(found, histories, strict=True):
            latest = history[: -self.config.last - 1 : -1]
            row[: len(latest)] = latest
        # items that came after training have no row
        found[found >= len(self._starts) - 1] = 0
        return found

    def add(
        self,
        scores: Floats,
        histories: Sequence[npt.NDArray[np.integer[Any]]],
        *,
        shares: Floats | None = None,
        columns: npt.NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Add this part to vector scores, in place; see `additions`.

        Args:
            scores: (B, W).
            histories: item indices of the model, oldest first.
            shares: what this part counts for each history, (B,); None for all of it.
            columns: those of each item index, (N + 1,), 0 where it has none; None where they are the same.
        """
        added = self.additions(histories, shares)
        added.add_to(scores, None if columns is None else columns[added.items])

    def additions(
        self, histories: Sequence[npt.NDArray[np.integer[Any]]], shares: Floats | None = None
    ) -> NextItemScores:
        """What this part adds to the scores of items.

        Args:
            histories: item indices of the model, oldest first.
            shares: what this part counts for each history, (B,); None for all of it.

        Returns:
            Which row, which item, and how much; an item may be there several times.
        """
        recents, places = self._places(self.recent(histories).ravel())
        rows, backs = np.divmod(recents, self.config.last)
        factors = self._factors[backs]
        if shares is not None:
            factors *= shares[rows]
        return NextItemScores(rows, self._items[places], factors * self._values[places])

    def edges(self, history: npt.NDArray[np.integer[Any]]) -> tuple[Ints, Ints, Floats]:
        """The edges that count for one history.

        Args:
            history: item indices (n,), oldest first.

        Returns:
            From which item, 0 for the last one, to which item, and their score, each (E,).
        """
        rows, places = self._places(self.recent([history])[0])
        return rows, self._items[places].astype(np.int64), self._factors[rows] * self._values[places]

    def _places(self, items: Ints) -> tuple[Ints, Ints]:
        """For each edge of these items (B,) the row of its item, and its place in the file."""
        begins = self._starts[items]
        counts = self._starts[items + 1] - begins
        rows = np.repeat(np.arange(len(items)), counts)
        ends = np.cumsum(counts)
        places = np.arange(len(rows)) + np.repeat(begins - ends + counts, counts)
        found = self._items[places]
        if len(found) and not (found.min() >= 1 and found.max() < len(self._starts) - 1):
            raise _broken(self._name)
        return rows, places


def read(name: str, arrays: Arrays, config: NextItemsConfig, items: int) -> NextItems:
    """The graph of a file.

    Args:
        name: of the model, for errors.
        arrays: what the file holds.
        config: how the graph counts.
        items: N of the catalogue.

    Returns:
        The graph.

    Raises:
        ModelError: the file holds none.
    """
    try:
        starts, neighbours, values = arrays["starts"], arrays["items"], arrays["values"]
    except KeyError as error:
        raise ModelError(f"{name}: {PART} has no {error}; train the model again") from None
    fits = (
        starts.dtype == np.int64
        and starts.shape == (items + 2,)
        and neighbours.dtype == np.int32
        and values.dtype == np.float32
        and neighbours.ndim == 1
        and values.shape == neighbours.shape
        and starts[0] == starts[1] == 0
        and starts[-1] == len(neighbours)
        and bool((np.diff(starts) >= 0).all())
    )
    counts = 1 <= config.last <= MAX_ITEMS and 0 <= config.decay <= 1 and 0 <= config.weight <= LARGEST_WEIGHT
    if not fits or not counts:
        raise _broken(name)
    return NextItems(arrays, config, name)


def _broken(name: str) -> ModelError:
    return ModelError(f"{name}: {PART} is no graph of this model's items; train the model again")
