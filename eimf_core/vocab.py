"""Item ids outside, integers inside: index 0 is padding, items count from 1 in catalogue order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

PADDING = 0


class Vocab:
    """A fixed, ordered set of item ids."""

    def __init__(self, ids: Sequence[str]) -> None:
        """`ids`: each once, in catalogue order."""
        self.ids: list[str] = list(ids)
        self._index = {item: index for index, item in enumerate(self.ids, start=1)}

    def __len__(self) -> int:
        """Number of items, padding not counted."""
        return len(self.ids)

    def get(self, item: str) -> int:
        """Index of an item; 0 when it is unknown."""
        return self._index.get(item, PADDING)

    def indices(self, items: Iterable[str]) -> npt.NDArray[np.int32]:
        """Indices of items.

        Args:
            items: their ids.

        Returns:
            (n,), 0 for unknown ones.
        """
        get = self._index.get
        return np.fromiter((get(item, PADDING) for item in items), dtype=np.int32)
