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
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.numeric.vectors import unit_rows

BLOCK = 8192
ITEMS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class UserVectors:
    """Training users in the text space of their items.

    `items` float (N + 1, D), zero where an item has no text; of half precision, which may be mapped from a
    file, no copy in full is made. `centre` (D,), if given, is taken off the vector of every item with a text.
    """

    train: SplitData
    items: npt.NDArray[np.floating[Any]]
    centre: Floats | None = None

    def __len__(self) -> int:
        return len(self.train)

    def rows(self, users: Ints) -> Floats:
        """Vectors of some users.

        Args:
            users: int64 (n,), positions of users.

        Returns:
            float32 (n, D), unit vectors; zero for a history without any text.
        """
        made = np.empty((len(users), self.items.shape[1]), dtype=np.float32)
        for start in range(0, len(users), BLOCK):
            made[start : start + BLOCK] = self._block(users[start : start + BLOCK])
        return made

    def _block(self, users: Ints) -> Floats:
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

    def item_blocks(self) -> Iterator[Floats]:
        """The item vectors, ITEMS_AT_ONCE at a time.

        Yields:
            float32 (n, D), less the centre.
        """
        for start in range(0, len(self.items), ITEMS_AT_ONCE):
            block = self.items[start : start + ITEMS_AT_ONCE].astype(np.float32)
            if self.centre is not None:
                block[block.any(axis=1)] -= self.centre
            yield block

    def blocks(self) -> Iterator[tuple[Ints, Floats]]:
        """All users in order, BLOCK at a time.

        Yields:
            int64 (n,), positions of users, and float32 (n, D), their vectors.
        """
        for start in range(0, len(self), BLOCK):
            users = np.arange(start, min(start + BLOCK, len(self)))
            yield users, self._block(users)


def history_positions(offsets: npt.NDArray[np.int64], users: Ints) -> tuple[Ints, Ints]:
    """Where the items of some users lie, one user after the other.

    Args:
        offsets: int64 (U + 1,), of the histories of all users.
        users: int64 (n,), positions of users.

    Returns:
        int64 (P,), positions of P items, and int64 (n + 1,), the bounds between the users in it.
    """
    lengths = offsets[users + 1] - offsets[users]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    return np.repeat(offsets[users] - bounds[:-1], lengths) + np.arange(bounds[-1]), bounds


def distinct_items(train: SplitData, counted: npt.NDArray[np.bool_]) -> Ints:
    """How many distinct items each user has.

    Args:
        train: the histories of U users.
        counted: bool (N + 1,), by item index: which count.

    Returns:
        int64 (U,).
    """
    found = np.zeros(len(train), dtype=np.int64)
    for start in range(0, len(train), BLOCK):
        users = np.arange(start, min(start + BLOCK, len(train)))
        at, bounds = history_positions(train.offsets, users)
        items = train.items[at].astype(np.int64)
        owner = np.repeat(np.arange(len(users)), np.diff(bounds))[counted[items]]
        pairs = np.unique(owner * len(counted) + items[counted[items]])
        found[users] = np.bincount(pairs // len(counted), minlength=len(users))
    return found
