"""Parts of the users, and parts of the targets, that figures are given for separately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Ints

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TargetSlice:
    """Figures as if only these items were targets; users without such a target do not count.

    Either `items`, a mask (N + 1,), or `repeated`: targets that are (True) or are not (False) in the
    user's history.
    """

    name: str
    items: Mask | None = None
    repeated: bool | None = None

    def of_lists(self, lists: Indices, histories: Sequence[Ints]) -> Mask:
        """Which places of the lists (B, n) hold an item of the slice."""
        rows = np.repeat(np.arange(len(lists)), lists.shape[1])
        return self.of_targets(rows, lists.ravel(), histories).reshape(lists.shape)

    def of_targets(self, rows: Indices, items: npt.NDArray[np.integer[Any]], histories: Sequence[Ints]) -> Mask:
        """Which of the items (T,), each belonging to a row of the block, are in the slice."""
        if self.items is not None:
            within: Mask = self.items[items]
            return within
        width = 1 + max(int(items.max(initial=0)), max(int(history.max(initial=0)) for history in histories))
        owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
        had: Mask = np.isin(rows * width + items, owners * width + np.concatenate(histories))
        return had if self.repeated else ~had
