"""Baselines that are a table of weights from item to item: item-kNN, EASE and last-item co-occurrence.

Each `fit_…` turns the training lines into arrays that can be kept in a file; the class beside it
scores histories with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from eimf_core.dataset import Dataset, SplitData
from eimf_core.evaluation.baselines.popularity import fallback, with_popularity_below
from eimf_core.evaluation.scorers import Events, Scored, Times
from eimf_core.numeric.arrays import Arrays, Floats, ShortInts

NEIGHBOURS = 100
EASE_PENALTY = 200.0
WINDOW = 10
"""Places after an item within which another one counts as following it."""
MAX_PAIRS = 20_000_000
ITEMS_AT_ONCE = 1 << 17
EASE_ITEMS = {"fast": 5_000, "all": 20_000}
"""Largest catalogue that EASE is fitted for: seconds, and about three minutes on one core."""


def interactions(train: SplitData, width: int) -> Any:
    """Who has what: scipy CSR (U, N + 1) of ones, an item that occurs twice in a line once."""
    rows = np.repeat(np.arange(len(train)), np.diff(train.offsets))
    keys = np.unique(rows * width + train.items)
    return _ones(keys // width, keys % width, (len(train), width))


def _ones(rows: npt.NDArray[Any], columns: npt.NDArray[Any], shape: tuple[int, int]) -> Any:
    return csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)


def _histories(histories: Sequence[ShortInts], width: int) -> Any:
    distinct = [np.unique(history) for history in histories]
    rows = np.repeat(np.arange(len(distinct)), [len(items) for items in distinct])
    return _ones(rows, np.concatenate(distinct), (len(distinct), width))


def fit_item_knn(dataset: Dataset) -> Arrays:
    """Cosine of items as sets of users, the 100 nearest of each: |U_i and U_j| / sqrt(|U_i| |U_j|)."""
    width = len(dataset.vocab) + 1
    users = interactions(dataset.splits["train"], width)
    items = users.T.tocsr()
    lengths = np.sqrt(np.diff(items.indptr))
    # pairs that a block of items may meet, from the number of items of those who have them
    pairs = np.concatenate([[0], np.cumsum(items @ np.diff(users.indptr).astype(np.float64))])
    parts: list[Arrays] = []
    start = 0
    while start < width:
        end = max(start + 1, int(np.searchsorted(pairs, pairs[start] + MAX_PAIRS)))
        met = (items[start : min(end, width)] @ users).tocsr()
        rows = [_nearest(met, at, start + at, lengths) for at in range(met.shape[0])]
        parts.append(
            {
                "counts": np.array([len(columns) for columns, _ in rows]),
                "indices": np.concatenate([columns for columns, _ in rows]).astype(np.int32),
                "data": np.concatenate([values for _, values in rows]).astype(np.float32),
            }
        )
        start = end
    return _joined(parts)


def _joined(parts: list[Arrays]) -> Arrays:
    """The rows of a matrix, some of them in each part with their `counts`, one part behind the other."""
    counts = np.concatenate([part["counts"] for part in parts])
    joined = {"indptr": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)}
    for name in ("indices", "data"):
        # of a million items, parts and matrix take gigabytes together
        joined[name] = np.concatenate([part.pop(name) for part in parts])
    return joined


def _nearest(met: Any, at: int, item: int, lengths: npt.NDArray[np.float64]) -> tuple[ShortInts, Floats]:
    columns = met.indices[met.indptr[at] : met.indptr[at + 1]]
    values = met.data[met.indptr[at] : met.indptr[at + 1]]
    other = columns != item
    columns, values = columns[other], values[other] / (lengths[item] * lengths[columns[other]])
    if len(columns) > NEIGHBOURS:
        nearest = np.argpartition(-values, NEIGHBOURS)[:NEIGHBOURS]
        columns, values = columns[nearest], values[nearest]
    order = np.argsort(columns)
    return columns[order], values[order]


class _ItemWeights:
    """A sparse matrix of weights from item to item (N + 1, N + 1), popularity where a history says nothing."""

    def __init__(self, dataset: Dataset, arrays: Arrays) -> None:
        self._width = len(dataset.vocab) + 1
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        self._weights = csr_array(parts, shape=(self._width, self._width))
        self._fallback = fallback(dataset.counts())


class ItemKnn(_ItemWeights):
    """An item's score is the sum of its cosines to the items of the history; others go by popularity.

    Source: Deshpande and Karypis, ACM TOIS 22(1), 2004.
    """

    name = "item-knn"
    fit = staticmethod(fit_item_knn)

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        sums = (_histories(histories, self._width) @ self._weights).toarray()
        return _scored(with_popularity_below(sums, self._fallback))


def fit_last_item(dataset: Dataset) -> Arrays:
    """How often item j follows item i within 10 places of a training line, each time counting 1 / distance."""
    train = dataset.splits["train"]
    width = len(dataset.vocab) + 1
    rows = np.repeat(np.arange(len(train), dtype=np.int32), np.diff(train.offsets))
    parts: list[Arrays] = []
    for start in range(0, width, ITEMS_AT_ONCE):
        number = min(ITEMS_AT_ONCE, width - start)
        mine = (train.items >= start) & (train.items < start + number)
        total = csr_array((number, width), dtype=np.float32)
        for distance in range(1, WINDOW + 1):
            together = np.flatnonzero((rows[distance:] == rows[:-distance]) & mine[:-distance])
            before, after = train.items[together], train.items[together + distance]
            # an item that comes again is no recommendation
            other = before != after
            total = total + _ones(before[other] - start, after[other], (number, width)) / distance
        total.sum_duplicates()
        parts.append(
            {
                "counts": np.diff(total.indptr),
                "indices": total.indices.astype(np.int32),
                "data": total.data.astype(np.float32),
            }
        )
    return _joined(parts)


class LastItem(_ItemWeights):
    """An item's score is how often it followed the last item of the history; others go by popularity.

    Source: the sequential rules of Ludewig and Jannach, UMUAI 28, 2018.
    """

    name = "last-item"
    fit = staticmethod(fit_last_item)

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        after = self._weights[[int(history[-1]) for history in histories]].toarray()
        return _scored(with_popularity_below(after, self._fallback))


def fit_ease(dataset: Dataset) -> Arrays:
    """The weights B (N + 1, N + 1) with a zero diagonal that minimise |X - X B|^2 + 200 |B|^2.

    B_ij = -P_ij / P_jj off the diagonal, with P = (X'X + 200 I)^-1 and X the users' items. Takes
    N^3 steps and, while it is made, 4 N^2 bytes twice.
    """
    from scipy.linalg import lapack

    users = interactions(dataset.splits["train"], len(dataset.vocab) + 1)
    gram = (users.T @ users).toarray(order="F")
    gram[np.diag_indices_from(gram)] += EASE_PENALTY
    factor, failed = lapack.spotrf(gram, lower=True, overwrite_a=True)
    half, failed_too = lapack.spotri(factor, lower=True, overwrite_c=True)
    if failed or failed_too:
        raise FloatingPointError("the item matrix has no inverse")
    # made column by column: its transpose lies in memory row by row, with the upper half filled
    weights = half.T
    for start in range(0, len(weights), 1024):
        rows = slice(start, start + 1024)
        square = np.triu(weights[rows, rows])
        weights[rows, rows] = square + np.triu(square, 1).T
        weights[start + 1024 :, rows] = weights[rows, start + 1024 :].T
    weights /= -np.diag(weights).copy()
    weights[np.diag_indices_from(weights)] = 0
    return {"weights": weights}


class Ease:
    """An item's score is the sum of its weights from the items of the history. Source: Steck, WWW 2019."""

    name = "ease"
    largest_catalogue = EASE_ITEMS
    fit = staticmethod(fit_ease)

    def __init__(self, dataset: Dataset, arrays: Arrays) -> None:
        self._weights = arrays["weights"]
        self._fallback = fallback(dataset.counts())

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        scores = _histories(histories, len(self._weights)) @ self._weights
        # nothing of the history was in the training lines
        scores[~scores.any(axis=1)] = self._fallback
        return _scored(scores)


def _scored(scores: Floats) -> Scored:
    scores[:, 0] = -np.inf
    return Scored(scores)
