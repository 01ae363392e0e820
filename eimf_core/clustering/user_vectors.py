"""Users as text vectors: the mean of the vectors of their training items, in unit length.

Vectors are made for a block of users at a time, so that a table of users x width is never held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import SplitData
from eimf_core.vectors import unit_rows

BLOCK = 8192
ITEMS_AT_ONCE = 1 << 16
Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UserVectors:
    """Training users in the text space of their items.

    `items` float (N + 1, D), zero where an item has no text; of half precision, which may be mapped from a
    file, no copy in full is made. `centre` (D,), if given, is taken off the vector of every item with a text.
    """

    train: SplitData
    items: npt.NDArray[np.floating[Any]]
    centre: Vectors | None = None

    def __len__(self) -> int:
        return len(self.train)

    def rows(self, users: Ints) -> Vectors:
        """Unit vectors (n, D) of users at these positions; zero for a history without any text."""
        made = np.empty((len(users), self.items.shape[1]), dtype=np.float32)
        for start in range(0, len(users), BLOCK):
            made[start : start + BLOCK] = self._block(users[start : start + BLOCK])
        return made

    def _block(self, users: Ints) -> Vectors:
        from scipy.sparse import csr_array

        at, bounds = history_positions(self.train.offsets, users)
        weights = np.ones(len(at), dtype=np.float32)
        indices = self.train.items[at]
        words = self.items
        if words.dtype != np.float32 or self.centre is not None:
            used, places = np.unique(indices, return_inverse=True)
            words, indices = words[used].astype(np.float32), places.astype(np.int32)
        if self.centre is not None:
            words[words.any(axis=1)] -= self.centre
        return unit_rows(csr_array((weights, indices, bounds), shape=(len(users), len(words))) @ words)

    def item_blocks(self) -> Iterator[Vectors]:
        """The item vectors (n, D), less the centre, ITEMS_AT_ONCE at a time."""
        for start in range(0, len(self.items), ITEMS_AT_ONCE):
            block = self.items[start : start + ITEMS_AT_ONCE].astype(np.float32)
            if self.centre is not None:
                block[block.any(axis=1)] -= self.centre
            yield block

    def blocks(self) -> Iterator[tuple[Ints, Vectors]]:
        """All users in order, BLOCK at a time: their positions and their vectors."""
        for start in range(0, len(self), BLOCK):
            users = np.arange(start, min(start + BLOCK, len(self)))
            yield users, self._block(users)


def history_positions(offsets: npt.NDArray[np.int64], users: Ints) -> tuple[Ints, Ints]:
    """Where the items of some users lie, one user after the other, and the n + 1 bounds between them."""
    lengths = offsets[users + 1] - offsets[users]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    return np.repeat(offsets[users] - bounds[:-1], lengths) + np.arange(bounds[-1]), bounds


def distinct_items(train: SplitData, counted: npt.NDArray[np.bool_]) -> Ints:
    """How many distinct items each user has, int64 (U,); only those of `counted` (N + 1,) count."""
    found = np.zeros(len(train), dtype=np.int64)
    for start in range(0, len(train), BLOCK):
        users = np.arange(start, min(start + BLOCK, len(train)))
        at, bounds = history_positions(train.offsets, users)
        items = train.items[at].astype(np.int64)
        owner = np.repeat(np.arange(len(users)), np.diff(bounds))[counted[items]]
        pairs = np.unique(owner * len(counted) + items[counted[items]])
        found[users] = np.bincount(pairs // len(counted), minlength=len(users))
    return found
