"""Logs and item tables in memory: written once as a file, which is then read and checked as any other.

What DuckDB can read becomes Parquet (frames of pandas, tables of pyarrow, its own relations, arrays of records), frames
of polars write Parquet themselves, and rows as dictionaries become JSON lines. None of these packages is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eimf_core.errors import ConfigError, InputError
from eimf_core.io.sql_text import file
from eimf_core.prepare.duckdb_session import library

ROWS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
EXPECTED = "expected a path, a frame of pandas or polars, a table of pyarrow, or a list of dictionaries"


@dataclass(frozen=True, eq=False)
class MemoryTable:
    """A table in memory, and how messages and the sidecar call it, such as "<log>"."""

    data: Any
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def advice(self) -> str:
        """What may help where a column is not recognised: in pandas the index may be one."""
        names = getattr(getattr(self.data, "index", None), "names", ())
        named = ", ".join(str(name) for name in names if name is not None)
        return f"; the index ({named}) is no column, frame.reset_index() makes it one" if named else ""

    def written(self, folder: Path) -> Path:
        """A file in a folder with the rows of the table.

        Raises:
            ConfigError: for what is no table.
            InputError: for a table that has no rows, or that cannot be read.
        """
        data = self.data.collect() if hasattr(self.data, "collect") else self.data
        if isinstance(data, np.ndarray) and data.dtype.names is not None:
            data = {name: data[name] for name in data.dtype.names}
        if isinstance(data, np.ndarray):
            names = 'pandas.DataFrame(array, columns=["user", "item", "time"])'
            raise ConfigError(f"{self.name} is an array of numpy, whose columns have no names; make a frame: {names}")
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            return self._json_lines(data, folder / "table.jsonl")
        path = folder / "table.parquet"
        if hasattr(data, "columns") and not len(data.columns):
            raise InputError("has no columns", file=self.name)
        if hasattr(data, "write_parquet"):
            try:
                data.write_parquet(str(path))
            except OSError:
                raise
            except Exception as error:
                # whatever a library raises for columns of a kind that no file holds
                raise self._unreadable(error) from None
        else:
            self._parquet(data, path)
        return path

    def _json_lines(self, rows: Sequence[Any], path: Path) -> Path:
        with open(path, "wb") as stream:
            for number, row in enumerate(rows, start=1):
                if not isinstance(row, Mapping):
                    raise InputError(f"is a {type(row).__name__}, expected a dictionary", file=self.name, line=number)
                try:
                    stream.write(orjson.dumps(dict(row), default=str, option=ROWS))
                except (TypeError, orjson.JSONEncodeError) as error:
                    raise InputError(f"cannot be read ({error})", file=self.name, line=number) from None
        return path

    def _parquet(self, data: Any, path: Path) -> None:
        duckdb = library()
        with duckdb.connect() as connection:
            try:
                connection.register("given", data)
            except (duckdb.Error, TypeError) as error:
                if hasattr(data, "columns") or isinstance(data, dict):
                    raise self._unreadable(error) from None
                raise ConfigError(
                    f"{self.name} is a {type(data).__name__}; {EXPECTED} ({_first_line(error)})"
                ) from None
            try:
                connection.execute(f"COPY given TO {file(path)} (FORMAT parquet)")
            except duckdb.Error as error:
                raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> InputError:
        problem = (
            f"cannot be read as a table ({_first_line(error)}); leave such columns out, or make them text or numbers"
        )
        return InputError(problem, file=self.name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip()
