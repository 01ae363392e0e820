"""The graph of next items, counted in training histories.

    A[i, x] = (F[i, x] + backward F[x, i]) / (n_i^.5 n_x^.25)

F[i, x] counts how often x stands at most REACH places after i in a history, each time 1 / places; n_i is how often i
occurs. `backward` is 0 for what follows an item, 1 for what stands beside it. Only the largest values of a row are
kept (`next_items.most_neighbours`). The exponents were chosen on the validation figures of four data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import sparse

from eimf_core.dataset import Dataset, SplitData
from eimf_core.model_directory.next_items import NextItems, NextItemsConfig, most_edges, most_neighbours
from eimf_core.numeric.arrays import Arrays, Doubles, Ints

REACH = 10
OWN, OTHER = 0.5, 0.25
MAX_PLACES = 1 << 18
"""Places of histories that are counted at a time, or one item's: bounds the memory beside the result."""


def count(train: SplitData, items: int, *, backward: float) -> Arrays:
    """The graph of what follows what in training histories.

    Args:
        train: the training split.
        items: N.
        backward: what an item counts that stands before another, not behind it.

    Returns:
        The arrays of `next_items.NextItems`.
    """
    counts = np.bincount(train.items, minlength=items + 1)
    lengths = np.zeros(items + 1, dtype=np.int64)
    columns, values = [], []
    most = most_neighbours(items)
    for rows, found, numbers in _parts(train, counts, backward):
        numbers /= counts[rows] ** OWN * counts[found] ** OTHER
        kept = _largest(rows, numbers, most)
        columns.append(found[kept].astype(np.int32))
        values.append(numbers[kept].astype(np.float32))
        lengths += np.bincount(rows[kept], minlength=items + 1)
    neighbours = np.concatenate([np.zeros(0, dtype=np.int32), *columns])
    columns.clear()  # of a million items they take as much memory as the result
    return {
        "starts": np.concatenate([[0], np.cumsum(lengths)]),
        "items": neighbours,
        "values": np.concatenate([np.zeros(0, dtype=np.float32), *values]),
    }


def with_texts(arrays: Arrays, texts: Arrays | None, config: NextItemsConfig) -> NextItems:
    """The graph of counts and, where `config.text` says so, of items of like texts: A + text T.

    Each has the neighbours that an item may have; where both together have more edges than a graph may, the largest
    values of each row stay.

    Args:
        arrays: A, the counts of histories.
        texts: T, the cosines of texts (`text_neighbours.count`); None where there are no texts.
        config: what the graph counts in the score.

    Returns:
        The graph, as a model has it.
    """
    if texts is None or not config.text:
        return NextItems(arrays, msgspec.structs.replace(config, text=0.0))
    width = len(arrays["starts"]) - 1
    total = sparse.csr_matrix(_matrix(arrays, width) + config.text * _matrix(texts, width))
    lengths = np.diff(total.indptr)
    kept = _largest(np.repeat(np.arange(width), lengths), total.data, most_edges(width - 1))
    rows = np.repeat(np.arange(width), lengths)[kept]
    merged = {
        "starts": np.searchsorted(rows, np.arange(width + 1)),
        "items": total.indices[kept].astype(np.int32),
        "values": total.data[kept].astype(np.float32),
    }
    return NextItems(merged, config)


def _matrix(arrays: Arrays, width: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((arrays["values"], arrays["items"], arrays["starts"]), shape=(width, width))


def recount(config: NextItemsConfig | None, data: Dataset, texts: Callable[[], Arrays | None]) -> NextItems | None:
    """The graph of today's training histories that counts what that of an earlier model did.

    Args:
        config: of the earlier model's; None where it had none.
        data: with its training histories.
        texts: makes the graph of items of like texts, None without texts.

    Returns:
        The graph; None where the earlier model had none.
    """
    if config is None:
        return None
    arrays = count(data.splits["train"], len(data.items), backward=config.backward)
    return with_texts(arrays, texts() if config.text else None, config)


def _parts(train: SplitData, counts: Ints, backward: float) -> Iterator[tuple[Ints, Ints, Doubles]]:
    """Rows, columns and counts of some items after the other, sorted by row and column."""
    width = len(counts)
    lines = np.repeat(np.arange(len(train), dtype=np.int32), np.diff(train.offsets))
    order = np.argsort(train.items, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    first = 1
    while first < width:
        end = int(np.searchsorted(starts, starts[first] + MAX_PLACES, side="right")) - 1
        end = min(max(end, first + 1), width)
        places = order[starts[first] : starts[end]]
        keys, weights = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
        for distance in range(1, REACH + 1):
            for step, weight in ((distance, 1.0), (-distance, backward)):
                if weight:
                    keys.append(_pairs(train.items, lines, places, step) @ np.array([width, 1]))
                    weights.append(np.full(len(keys[-1]), weight / distance))
        found, which = np.unique(np.concatenate(keys), return_inverse=True)
        numbers = np.bincount(which, np.concatenate(weights), minlength=len(found))
        yield found // width, found % width, numbers.astype(np.float64)
        first = end


def _pairs(items: npt.NDArray[np.int32], lines: npt.NDArray[np.int32], places: Ints, step: int) -> Ints:
    """The items at some places, and those so many places later in the same history, (n, 2)."""
    there = places + step
    inside = (there >= 0) & (there < len(items))
    here, there = places[inside], there[inside]
    # an item that comes again is no recommendation
    kept = (lines[here] == lines[there]) & (items[here] != items[there])
    return np.stack([items[here[kept]], items[there[kept]]], axis=1).astype(np.int64)


def _largest(rows: Ints, values: Doubles, most: int) -> Ints:
    """Places of the largest values of each row, at most `most`, in the order in which they stand."""
    order = np.lexsort((-values, rows))
    begins = np.searchsorted(rows, rows[order])
    return np.sort(order[np.arange(len(order)) - begins < most])
