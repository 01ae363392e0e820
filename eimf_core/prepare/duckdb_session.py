"""DuckDB, set up for logs larger than memory: a database file in a scratch folder, bounded memory."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from eimf_core import interrupts
from eimf_core.errors import ConfigError, InputError
from eimf_core.io.sql_text import literal
from eimf_core.threads import for_reading


def library() -> Any:
    """DuckDB, imported at its first use.

    A signal that arrives in the import waits for its end: an exception out of it would abort the interpreter.
    """
    if "duckdb" in sys.modules:
        return sys.modules["duckdb"]
    with interrupts.deferred():
        return importlib.import_module("duckdb")


@contextlib.contextmanager
def connected(scratch: Path, *, memory_limit: str, threads: int) -> Iterator[Any]:
    """A connection whose tables and spills live in `scratch`; rows keep the order they were read in.

    Args:
        scratch: a folder that is there.
        memory_limit: as DuckDB writes it, such as 2GB.
        threads: that DuckDB works with; 0: as many as `for_reading` says.

    Yields:
        A DuckDBPyConnection, closed with the block.

    Raises:
        OSError: the disk is full.
        ConfigError: too little memory; it says what to change.
    """
    duckdb = library()

    connection = duckdb.connect(str(scratch / "log.duckdb"))
    try:
        with _signals_passed_on():
            _set_up(connection, scratch, memory_limit, threads)
            yield connection
    except duckdb.OutOfMemoryException as error:
        if "max_temp_directory_size" in str(error) or "spill" in str(error).lower():
            raise _full(scratch) from None
        raise ConfigError(
            f"--memory-limit {memory_limit} is too little for this log; raise it or lower --threads"
        ) from None
    except duckdb.Error as error:
        if is_full(error):
            raise _full(scratch) from None
        raise
    finally:
        connection.close()


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Make an InputError of what DuckDB finds wrong with a file; a full disk and too little memory are passed on."""
    duckdb = library()

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if is_full(error):
            raise
        raise InputError(f"cannot be read ({str(error).splitlines()[0]}); is it damaged?", file=name) from None


@contextlib.contextmanager
def _signals_passed_on() -> Iterator[None]:
    """Let a signal that interrupts a query end the work as it would elsewhere.

    DuckDB swallows what a signal handler raises and says "Query interrupted" instead; the
    handler is then called once more.
    """
    arrived: list[int] = []
    before = interrupts.current_handlers()

    def remember(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        before[signal.Signals(number)](number, frame)

    with interrupts.handled_by(remember, before):
        try:
            yield
        except RuntimeError:
            if arrived:
                remember(arrived[-1], None)
            raise


def _set_up(connection: Any, scratch: Path, memory_limit: str, threads: int) -> None:
    duckdb = library()

    wrong = ConfigError(f"--memory-limit is '{memory_limit}', expected a size such as 2GB or 800MB")
    # DuckDB takes what is below 0 for no limit
    if memory_limit.strip().startswith("-"):
        raise wrong
    try:
        connection.execute(f"SET memory_limit = {literal(memory_limit)}")
    except duckdb.Error:
        raise wrong from None
    connection.execute(f"SET threads = {threads or for_reading()}")
    connection.execute(f"SET temp_directory = {literal(scratch / 'spill')}")
    connection.execute("SET enable_progress_bar = false; SET preserve_insertion_order = true")
    # dates without a zone are UTC, wherever the machine is
    connection.execute("SET TimeZone = 'UTC'")
    # the tables live for minutes: packing strings costs more than the disk they save
    connection.execute("SET force_compression = 'uncompressed'")
    # nothing is fetched, whatever a file asks for
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")


def rejected(connection: Any) -> list[tuple[int, str, str]]:
    """Row number, problem and text of the rows that DuckDB could not parse; they are dropped."""
    duckdb = library()

    try:
        found = connection.execute("SELECT line, error_message, csv_line FROM reject_errors ORDER BY line").fetchall()
        connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    except duckdb.CatalogException:
        return []
    return [*found]


def is_full(error: Exception) -> bool:
    """Whether DuckDB failed because the disk (or the size a file may have) is at its end."""
    text = str(error)
    return "No space left" in text or "File too large" in text or "Could not write" in text


def _full(scratch: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(scratch.parent))
