"""Strings, paths and names as DuckDB reads them in SQL."""

from __future__ import annotations

from pathlib import Path


def literal(text: object) -> str:
    """A string as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def file(path: Path) -> str:
    """A path as an SQL literal; DuckDB would take some names for patterns of others."""
    return literal("".join(f"[{char}]" if char in "*?[" else char for char in str(path)))


def name(text: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'
