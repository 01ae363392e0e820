"""Files behind an address: https://, s3://, gs:// and hf://, copied to this machine by DuckDB's extension httpfs.

Parquet files (one, or a pattern where the store lists its files) and text in UTF-8 are copied, gzip and zstd unpacked.
Keys of s3:// and gs://, and tokens of hf://, are DuckDB's own: the AWS_… variables, and its stored secrets.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path, PurePosixPath
from typing import Any

from eimf_core.errors import ConfigError, InputError
from eimf_core.io.sql_text import literal
from eimf_core.prepare import log_files
from eimf_core.prepare.duckdb_session import is_full, library

SCHEMES = ("https", "http", "s3", "gs", "gcs", "r2", "hf")
_ADDRESS = re.compile(f"({'|'.join(SCHEMES)}):/+(.+)")
_SECRET = re.compile(r"(?i)([?&][^=&]*(?:key|token|sig|secret|pass|auth|cred)[^=&]*=)[^&#\s'\"]*")
"""What grants access in an address, as those signed by a store have it, or a store's options."""
MEMORY = "1GB"
PARQUET = (".parquet", ".parq", ".pq")
PACKED = {".gz": "gzip", ".zst": "zstd"}
OWN_COPY = "fetch the file yourself and name the copy"
KEYS = {
    "hf": "a private set needs CREATE PERSISTENT SECRET (TYPE huggingface, TOKEN '…') in DuckDB",
    **dict.fromkeys(
        ("s3", "gs", "gcs", "r2"),
        "a private bucket needs AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or CREATE PERSISTENT SECRET "
        "in DuckDB",
    ),
}
"""What a store that refuses may lack."""
INSTALL = """python -c "import duckdb; duckdb.sql('INSTALL httpfs')\""""


def address(argument: str | Path) -> str | None:
    """The address that an argument is; None for a path. As a path an address has lost one of its two strokes."""
    found = _ADDRESS.fullmatch(str(argument))
    return f"{found[1]}://{found[2]}" if found else None


def redacted(argument: str | Path) -> str | None:
    """The address that an argument is, for messages and sidecars: without what grants access."""
    found = address(argument)
    return found and _without_secrets(found)


def _without_secrets(text: str) -> str:
    return _SECRET.sub(r"\1…", re.sub(r"(://)[^/?#\s]*@", r"\1…@", text))


def fetched(address: str, scratch: Path) -> Path:
    """A copy of a file behind an address.

    Args:
        address: as `address` gives it.
        scratch: an empty folder for the copy.

    Raises:
        ConfigError: where DuckDB has no httpfs, and for a pattern of text files.
        InputError: for a file that cannot be had.
    """
    duckdb = library()

    named = str(redacted(address))
    parquet = address.partition("?")[0].partition("#")[0].lower().endswith(PARQUET)
    if "*" in address and not parquet:
        raise ConfigError(f"{named}: a pattern goes with Parquet files alone; name each file")
    name = PurePosixPath(address.partition("?")[0].partition("#")[0]).name.replace("*", "all") or "file"
    with contextlib.closing(duckdb.connect()) as connection:
        try:
            connection.execute("LOAD httpfs")
        except duckdb.Error:
            raise ConfigError(
                f"{named}: needs httpfs, an extension of DuckDB that is not installed: run {INSTALL}, or {OWN_COPY}"
            ) from None
        connection.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = {literal(str(scratch))}")
        try:
            if parquet:
                target = scratch / name
                connection.execute(f"COPY (FROM read_parquet({literal(address)})) TO {literal(str(target))}")
                return target
            return _copied_lines(connection, address, scratch / name)
        except duckdb.Error as error:
            if is_full(error):
                raise
            said = _without_secrets(str(error).splitlines()[0])
            if isinstance(error, duckdb.HTTPException | duckdb.IOException):
                keys = KEYS.get(address.partition(":")[0], OWN_COPY)
                raise InputError(f"cannot be fetched ({said}); {keys}", file=named) from None
            kind = "Parquet" if parquet else "text in UTF-8"
            raise InputError(f"is no {kind} ({said}); for other kinds {OWN_COPY}", file=named) from None


def _copied_lines(connection: Any, address: str, target: Path) -> Path:
    """The text line by line, which has to be UTF-8."""
    packed = PACKED.get(target.suffix, "none")
    target = target.with_suffix("") if packed != "none" else target
    connection.execute(f"SELECT line FROM {log_files.line_scan(literal(address), packed)}")
    with open(target, "w", encoding="utf-8", newline="") as copy:
        while rows := connection.fetchmany(10_000):
            copy.writelines(f"{line or ''}\n" for (line,) in rows)
    return target
