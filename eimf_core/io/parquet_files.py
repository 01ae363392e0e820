"""Parquet files, written by DuckDB part by part: a large table does not lie in memory a second time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from eimf_core import interrupts
from eimf_core.io import files
from eimf_core.io.sql_text import file, literal

FORM = "(FORMAT parquet, COMPRESSION zstd)"


def write(path: Path, columns: Mapping[str, npt.NDArray[Any]], kinds: Mapping[str, str]) -> None:
    """Write a table; the same columns give the same bytes.

    Args:
        path: the file.
        columns: by name, each (n,); lists of numbers are arrays in a column of objects.
        kinds: the type of DuckDB of each column that is no text: an empty one does not tell it.
    """
    cells = ", ".join(f'CAST("{name}" AS {kinds.get(name, "VARCHAR")}) AS "{name}"' for name in columns)
    with _connected() as connection, files.atomic_path(path) as temporary:
        connection.register("made", dict(columns))
        connection.execute(f"COPY (SELECT {cells} FROM made) TO {literal(temporary)} {FORM}")


def join(parts: Sequence[Path], output: Path) -> None:
    """Write the rows of several files, one behind the other, to another one."""
    named = ", ".join(map(file, parts))
    with _connected() as connection, files.atomic_path(output) as temporary:
        connection.execute(f"COPY (SELECT * FROM read_parquet([{named}])) TO {literal(temporary)} {FORM}")


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    import duckdb

    # one thread: several would cut the file elsewhere
    connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})
    # a signal within a query would be told as an error of the query
    with interrupts.deferred():
        try:
            yield connection
        finally:
            connection.close()
