"""Tables in memory where a step reads lines: written to a file of their own, which is gone when the step is done."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eimf.paths import is_frame, path_of
from eimf_core.errors import ConfigError
from eimf_core.io import files


@contextlib.contextmanager
def lines_of(given: Any, name: str) -> Iterator[Path]:
    """A path as it is; for a frame, or a list of dictionaries, that of a file of JSON lines while the block runs.

    Args:
        given: the path or the table.
        name: of the argument; errors and sidecars call the file by it in angle brackets.

    Yields:
        The path.

    Raises:
        ConfigError: for what is neither.
        InputError: for rows that are no dictionaries, or hold what no JSON does.
    """
    if not is_frame(given) and not isinstance(given, list | tuple):
        yield path_of(given, name)
        return
    from eimf_core.prepare.memory_tables import MemoryTable

    with tempfile.TemporaryDirectory(prefix="eimf-") as folder:
        shown = f"<{name}>"
        path = MemoryTable([*map(_present, rows_of(given, shown))], shown).written(Path(folder))
        with files.shown_as(path, shown):
            yield path


def rows_of(table: Any, name: str) -> list[Any]:
    """The rows of a frame of pandas or polars, a table of pyarrow, a relation of DuckDB or a list."""
    if isinstance(table, list | tuple):
        return [*table]
    table = table.collect() if hasattr(table, "collect") else table
    if hasattr(table, "fetchall"):
        return [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    for method, arguments in (("to_dicts", ()), ("to_pylist", ()), ("to_dict", ("records",))):
        if hasattr(table, method):
            rows: list[Any] = getattr(table, method)(*arguments)
            return rows
    raise ConfigError(f"{name} is a {type(table).__name__}, expected a path, a frame or a list of dictionaries")


def _present(row: Any) -> Any:
    """A row without the values that are missing, which in a frame are None, NaN and the like."""
    if not isinstance(row, Mapping):
        return row
    return {key: value for key, value in row.items() if value is not None and not _is_missing(value)}


def _is_missing(value: Any) -> bool:
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        # that of pandas is neither equal nor unequal; an array is no single value
        return not hasattr(value, "__len__")
