"""How this machine's numpy rounds: some kernels of OpenBLAS (those without AVX-512) add a row up by its place."""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def rounds_by_place() -> bool:
    """Whether the last digit of a product of two or more rows may depend on the rows beside it."""
    rng = np.random.default_rng(0)
    vectors, rows = (rng.normal(size=(count, 64)).astype(np.float32) for count in (2_402, 160))
    for items in (1_201, len(vectors)):
        together = rows @ vectors[:items].T
        for count in (2, 3, 4, 8, 12, 40):
            if not np.array_equal(rows[:count] @ vectors[:items].T, together[:count]):
                return True
    return False
