"""How this machine's numpy rounds: kernels of OpenBLAS without AVX-512 add a row up by its place among others."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: F401 (loads the library that is asked about)
from threadpoolctl import threadpool_info

BY_PLACE = {"Haswell", "Zen", "Excavator", "Sandybridge"}


def rounds_by_place() -> bool:
    """Whether the last digit of a product may depend on the rows beside it."""
    return any(info.get("architecture") in BY_PLACE for info in threadpool_info() if info["user_api"] == "blas")


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
