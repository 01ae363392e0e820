"""Categories of items as numbers, from which steps make the matrices that they need."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np

from eimf_core.numeric.arrays import Ints


def numbered(rows: Iterable[Iterable[str]], names: Iterable[str] | None = None) -> tuple[list[str], Ints, Ints]:
    """Number the categories of items.

    Args:
        rows: the categories of each item; one that is named twice counts once.
        names: the categories that count, in the order of their numbers; all if None.

    Returns:
        The names (C,), by default in the order in which they first appear; the numbers, from 0 to C - 1, item after
        item and within it in the order given; and the bounds (n + 1,) between the items: with ones as values, the
        last two are the indices and the index pointer of a CSR matrix (n, C).
    """
    numbers: dict[str, int] = {}
    if names is None:
        held = [[numbers.setdefault(name, len(numbers)) for name in dict.fromkeys(row)] for row in rows]
    else:
        numbers = {name: number for number, name in enumerate(names)}
        held = [[numbers[name] for name in dict.fromkeys(row) if name in numbers] for row in rows]
    bounds = np.cumsum([0, *map(len, held)])
    return list(numbers), np.fromiter(chain.from_iterable(held), np.int64, int(bounds[-1])), bounds
