"""DuckDB, set up for logs larger than memory: a database file in a scratch folder, bounded memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError

MOST_THREADS = 8


def connect(scratch: Path, *, memory_limit: str, threads: int) -> Any:
    """A connection whose tables and spills live in `scratch`; rows keep the order they were read in."""
    import duckdb

    connection = duckdb.connect(str(scratch / "log.duckdb"))
    try:
        connection.execute(f"SET memory_limit = {literal(memory_limit)}")
    except duckdb.Error:
        raise ConfigError(f"--memory-limit is '{memory_limit}', expected a size such as 2GB or 800MB") from None
    connection.execute(f"SET threads = {threads or default_threads()}")
    connection.execute(f"SET temp_directory = {literal(str(scratch / 'spill'))}")
    connection.execute("SET enable_progress_bar = false; SET preserve_insertion_order = true")
    return connection


def default_threads() -> int:
    """The cores this process may use, at most `MOST_THREADS`."""
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0))))


def literal(text: object) -> str:
    """A string as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def name(text: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'
