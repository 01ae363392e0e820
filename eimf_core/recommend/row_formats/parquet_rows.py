"""Rows of recommendations as Parquet, written by DuckDB; the same rows give the same bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from eimf_core import files, signals
from eimf_core.recommend.result_rows import Rows
from eimf_core.sql_text import file, literal

TYPES = {"rank": np.int32, "score": np.float64}
"""Types of the columns that are no text."""
FORM = "(FORMAT parquet, COMPRESSION zstd)"


def encode(rows: Rows) -> Rows:
    """Nothing is done before a part is written."""
    return rows


def write_part(path: Path, encoded: Sequence[Rows]) -> None:
    """Write a part."""
    columns = {
        name: np.fromiter(chain.from_iterable(values), TYPES.get(name, np.object_))
        for name, values in zip(Rows._fields, zip(*encoded, strict=True), strict=True)
    }
    with _connected() as connection, files.atomic_path(path) as temporary:
        connection.register("made", columns)
        # an empty column of text would be one of whole numbers
        kinds = {"rank": "INTEGER", "score": "DOUBLE"}
        cells = ", ".join(f'CAST("{name}" AS {kinds.get(name, "VARCHAR")}) AS "{name}"' for name in columns)
        connection.execute(f"COPY (SELECT {cells} FROM made) TO {literal(temporary)} {FORM}")


def join(parts: Sequence[Path], output: Path) -> None:
    """Put parts one behind the other."""
    named = ", ".join(map(file, parts))
    with _connected() as connection, files.atomic_path(output) as temporary:
        connection.execute(f"COPY (SELECT * FROM read_parquet([{named}])) TO {literal(temporary)} {FORM}")


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    import duckdb

    # one thread: several would cut the file elsewhere
    connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})
    # a signal within a query would be told as an error of the query
    with signals.deferred():
        try:
            yield connection
        finally:
            connection.close()
