"""Rows of recommendations as Parquet; the same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from eimf_core.io import parquet_files
from eimf_core.recommend.output.result_lines import ResultLines
from eimf_core.recommend.output.result_rows import Rows, rows
from eimf_core.recommend.results import Results

TYPES = {"rank": np.int32, "score": np.float64}
"""Types of the columns that are no text."""
KINDS = {"rank": "INTEGER", "score": "DOUBLE"}
"""The same, as DuckDB calls them."""


def encode(results: Results, writer: ResultLines) -> Rows:
    """The rows of some answers.

    Args:
        results: as `Recommender.results` gives them.
        writer: knows the items of the model.

    Returns:
        The columns.
    """
    return rows(results, writer.items)


def write_part(path: Path, encoded: Sequence[Rows]) -> None:
    """Write a part.

    Args:
        path: the file.
        encoded: rows of blocks, in order.
    """
    columns = {
        name: np.fromiter(chain.from_iterable(values), TYPES.get(name, np.object_))
        for name, values in zip(Rows._fields, zip(*encoded, strict=True), strict=True)
    }
    parquet_files.write(path, columns, KINDS)


def join(parts: Sequence[Path], output: Path) -> None:
    """Put parts one behind the other."""
    parquet_files.join(parts, output)
