"""The array types that signatures name; what an array holds and its shape stand in the docstring of the function."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""Vectors and scores."""
Doubles = npt.NDArray[np.float64]
"""What is summed up over many lines: figures, counts with weights."""
Ints = npt.NDArray[np.int64]
"""Indices, places and counts."""
ShortInts = npt.NDArray[np.int32]
"""Indices of which many are kept: histories, neighbours."""
Bools = npt.NDArray[np.bool_]
"""Which of many."""
AnyFloats = npt.NDArray[np.floating[Any]]
"""Vectors as a file holds them, in single or half precision."""
Arrays = dict[str, npt.NDArray[Any]]
"""Arrays by name, as a file holds them."""
