"""How this machine's numpy rounds: some kernels of OpenBLAS (those without AVX-512) add a row up by its place."""

from __future__ import annotations

import functools
from typing import Any

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


def numbers_and_rest(value: Any) -> tuple[list[float], Any]:
    """The fractions in an answer, in order, and the answer without them."""
    if isinstance(value, float):
        return [value], None
    if isinstance(value, list):
        parts = [numbers_and_rest(part) for part in value]
        return [number for numbers, _ in parts for number in numbers], [rest for _, rest in parts]
    if isinstance(value, dict):
        numbers, rest = numbers_and_rest(list(value.values()))
        return numbers, dict(zip(value, rest, strict=True))
    return [], value
