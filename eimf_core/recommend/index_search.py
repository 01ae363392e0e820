"""An inverted file over the items of a model: the near ones are scored, the rest is not looked at.

The items lie in lists, one for each of C centroids; a query looks into the `probes` lists whose centroids have
the largest products with its interests and scores what lies there exactly, with the model's own vectors.
Of many queries each list is read once, for all of them that look into it.
`build_index` makes it with faiss; using it needs numpy alone, since a file from a stranger is no input for
a parser in C++. Source: Jégou et al., Product Quantization for Nearest Neighbor Search, PAMI 33(1), 2011,
section IV (the inverted file, here without codes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ConfigError, ModelError
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats, Ints

PART = "index.safetensors"
SHARED = 2
"""Users that look into a list, on average, from which on it pays to go list by list."""


class Index:
    """The lists of a model: `centroids` (C, d), `starts` (C + 1,), `items` (N,) in order of their lists."""

    def __init__(self, name: str, arrays: dict[str, npt.NDArray[Any]], items: int, width: int) -> None:
        """Raises ModelError for arrays that are no index of so many items."""
        self._name = name
        try:
            self._centroids, self._starts = arrays["centroids"], arrays["starts"]
            self._items, probes = arrays["items"], arrays["probes"]
        except KeyError as error:
            raise ModelError(f"{name}: {PART} has no {error}; build it again") from None
        lists = self._starts.size - 1
        fits = (
            self._starts.ndim == 1
            and lists >= 1
            and self._centroids.shape == (lists, width)
            and self._items.shape == (items,)
            and probes.shape == (1,)
            and all(array.dtype.kind == "i" for array in (self._starts, self._items, probes))
            and self._centroids.dtype == np.float32
        )
        if not fits or self._starts[0] != 0 or self._starts[-1] != items:
            raise self._broken()
        if (np.diff(self._starts) < 0).any() or not 1 <= probes[0] <= lists:
            raise self._broken()
        self.probes = int(probes[0])
        if items and (self._items.min() < 1 or self._items.max() > items):
            raise self._broken()
        if (np.bincount(self._items, minlength=items + 1)[1:] != 1).any():
            raise self._broken()
        # where each item stands in `items`, and the list that it is in
        self._place = np.zeros(items + 1, np.int32)
        self._place[self._items] = np.arange(items, dtype=np.int32)
        self._list = np.zeros(items + 1, np.int32)
        self._list[self._items] = np.repeat(np.arange(lists, dtype=np.int32), np.diff(self._starts))

    def _broken(self) -> ModelError:
        return ModelError(f"{self._name}: {PART} is no index of this model; build it again")

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return len(self._centroids)

    def probed(self, interests: Floats) -> npt.NDArray[np.bool_]:
        """Which lists are the nearest of any of the interests (B, K, d), (B, C)."""
        users, number, width = interests.shape
        products = interests.reshape(-1, width) @ self._centroids.T
        probes = min(self.probes, self.lists)
        nearest = np.argpartition(products, self.lists - probes, axis=1)[:, self.lists - probes :]
        found = np.zeros((users, self.lists), dtype=np.bool_)
        found[np.arange(users)[:, None], nearest.reshape(users, number * probes)] = True
        return found

    def candidates(self, interests: Floats) -> Ints:
        """The items in the nearest lists of any of some interests.

        Args:
            interests: (K, d).

        Returns:
            Item indices (n,), rising, each once.
        """
        return np.sort(np.concatenate(self._read(np.flatnonzero(self.probed(interests[None])[0])))).astype(np.int64)

    def _read(self, lists: Ints) -> list[npt.NDArray[Any]]:
        """The items of some lists."""
        return [self._items[self._starts[at] : self._starts[at + 1]] for at in lists.tolist()]

    def near(
        self, interests: Floats, model: OpenedModel, parts: Sequence[tuple[int, int]],
        also: tuple[Ints, Ints] | None = None,
    ) -> NearItems:  # fmt: skip
        """Score what lies in the nearest lists of each user, and what the opened model got since the index was built.

        Args:
            interests: (B, K, d).
            model: the opened model.
            parts: what the interests consist of, see `ranking.best_scores`.
            also: rows and item indices that are looked at whatever lists they lie in.

        Returns:
            What was found, with its scores.
        """
        probed = self.probed(interests)
        sizes = np.where(probed, np.diff(self._starts), 0)
        late = len(model.vectors) - len(self._items) - 1
        found = NearItems((self._items, self._starts, self._place, self._list), probed, sizes, late, also)

        split = [(np.ascontiguousarray(own), columns) for own, columns in ranking.split(interests, parts)]
        lists = np.flatnonzero(probed.any(axis=0))
        with np.errstate(invalid="ignore", over="ignore"):
            if probed.sum() < SHARED * len(lists):
                # hardly a list is of several users: all that each looks into at once
                for row, own in enumerate(probed):
                    items = np.concatenate([*self._read(np.flatnonzero(own)), *found.further(row)])
                    found.scores[row, : len(items)] = _scores(split, slice(row, row + 1), model, items)
                return found
            for at, items in zip(lists.tolist(), self._read(lists), strict=True):
                rows = np.flatnonzero(probed[:, at])
                scores = _scores(split, rows, model, items)
                for row, begin, own in zip(rows.tolist(), found.begins[rows, at].tolist(), scores, strict=True):
                    found.scores[row, begin : begin + len(items)] = own
            for row, begin in enumerate(sizes.sum(axis=1).tolist()):
                items = np.concatenate(found.further(row))
                if len(items):
                    own = _scores(split, slice(row, row + 1), model, items)
                    found.scores[row, begin : begin + len(items)] = own
        return found


def _scores(
    split: Sequence[tuple[Floats, slice]], rows: Any, model: OpenedModel, items: npt.NDArray[np.integer[Any]]
) -> Floats:
    """Scores of items (n,) for some rows of interests, as `ranking.largest_scores` gives them."""
    vectors = model.vectors.take(items, axis=0)
    found: Any = 0
    for own, columns in split:
        asked = own[rows]
        users, number, width = asked.shape
        products = asked.reshape(-1, width) @ vectors[:, columns].T
        found = products.reshape(users, number, -1).max(axis=1) + found
    scores: Floats = found if model.scale is None else found * model.scale[items]
    return scores


class NearItems:
    """What an index finds for some users: the items of lists, one list behind the other, then those that came after
    the index, then further ones of the user alone.

    Attributes:
        scores: (B, W), behind the last item of a row -inf; W a multiple of `ranking.GROUP`.
        begins: the column where each list begins (B, C), where it is one of the row.
    """

    def __init__(
        self, index: tuple[npt.NDArray[Any], ...], probed: npt.NDArray[np.bool_], sizes: Ints, late: int,
        also: tuple[Ints, Ints] | None,
    ) -> None:  # fmt: skip
        self._items, self._starts, self._places, self._lists = index
        self._probed, items = probed, len(self._items)
        self._ends = np.cumsum(sizes, axis=1)
        self.begins = self._ends - sizes
        self._late = np.arange(items + 1, items + 1 + late)
        # columns behind those of lists
        self._behind = self._ends[:, -1]
        self._keys = np.zeros(0, np.int64)
        self._width = items + late + 1
        if also is not None:
            rows, asked = also
            known = asked <= items
            lacking = known & ~probed[rows, self._lists[asked * known]]
            keys = np.sort(rows[lacking] * self._width + asked[lacking])
            # several times as fast as np.unique
            self._keys = keys[np.diff(keys, prepend=-1) > 0]
        counts = np.bincount(self._keys // self._width, minlength=len(probed))
        self._firsts = np.cumsum(counts) - counts
        self._counts = counts
        most = int((self._behind + late + counts).max())
        self.scores = np.full((len(probed), -(-max(1, most) // ranking.GROUP) * ranking.GROUP), -np.inf, np.float32)

    def further(self, row: int) -> list[Ints]:
        """What a row holds behind the items of lists.

        Args:
            row: from 0.

        Returns:
            Ints of items that came after the index was built, then of those that are always looked at.
        """
        first = self._firsts[row]
        return [self._late, self._keys[first : first + self._counts[row]] % self._width]

    def columns(self, rows: Ints, items: Ints) -> Ints:
        """Where items are.

        Args:
            rows: (n,).
            items: an item index in each of these rows, (n,).

        Returns:
            Columns of `scores`, (n,), -1 where an item is not there.
        """
        known = items * (items < len(self._places))
        at = self._lists[known]
        in_lists = self.begins[rows, at] + self._places[known] - self._starts[at]
        found = np.where(self._probed[rows, at], in_lists, -1)
        if len(self._keys):
            keys = rows * self._width + items
            place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            further = self._behind[rows] + len(self._late) + place - self._firsts[rows]
            found = np.where(self._keys[place] == keys, further, found)
        came_later = items >= len(self._places)
        return np.where(came_later, self._behind[rows] + items - len(self._places), found)

    def items(self, rows: Ints, columns: Ints) -> Ints:
        """What stands in places.

        Args:
            rows: (n,).
            columns: a column in each of these rows, (n,), that holds an item.

        Returns:
            Item indices (n,).
        """
        lists = self._ends.shape[1]
        width = self.scores.shape[1]
        ends = (self._ends + np.arange(len(self._ends))[:, None] * width).ravel()
        at = np.minimum(np.searchsorted(ends, rows * width + columns, side="right") - rows * lists, lists - 1)
        made = np.empty(len(rows), np.int64)
        behind = columns - self._behind[rows]
        inside = behind < 0
        places = self._starts[at] + columns - self.begins[rows, at]
        made[inside] = self._items[places[inside]]
        late = ~inside & (behind < len(self._late))
        made[late] = self._late[behind[late]]
        own = ~inside & ~late
        made[own] = self._keys[(self._firsts[rows] + behind - len(self._late))[own]] % self._width
        return made

    def all_items(self) -> tuple[Ints, Ints, Ints]:
        """Everything that was found.

        Returns:
            Row, column and item index, each (n,).
        """
        counts = self._behind + len(self._late) + self._counts
        rows = np.repeat(np.arange(len(counts)), counts)
        columns = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, columns, self.items(rows, columns)


def index_of(model: OpenedModel) -> Index:
    """The index of an opened model; ConfigError when it has none."""
    if model.index is None:
        raise ConfigError(f"{model.name}: has no index; make one with 'eimf index {model.name}'")
    return Index(model.name, model.index, model.config.items, model.config.dimension)
