"""Whether a kind of log that `--format` names reads a file: told before the file is read as what it is not."""

from __future__ import annotations

import re
from collections.abc import Collection

from eimf_core.prepare.columns import normalised, shortened_names
from eimf_core.prepare.formats.base import LogFormat, keys_of
from eimf_core.prepare.header import delimiter_of, split_line
from eimf_core.prepare.log_files import Source

JSON = re.compile(r'\{\s*("|$)|\[\s*(\{|$)')


def problem(kind: LogFormat, source: Source, *, of_plugin: bool) -> str:
    """Why a kind of log cannot read a file.

    Args:
        kind: the one that is named.
        source: the file.
        of_plugin: whether a plug-in has it, which may well read JSON lines as text.

    Returns:
        What goes behind the name of the file; empty where nothing speaks against it.
    """
    if kind.parquet or source.parquet:
        return "" if kind.parquet == source.parquet else f"which is {'a' if source.parquet else 'no'} Parquet file"
    if not kind.json and not of_plugin and is_json(source):
        return "which holds JSON"
    there = _columns(kind, source) if kind.json or kind.needs else ()
    if kind.json and not there:
        return "which does not hold one JSON object a line"
    missing = [names for names in kind.needs if not any(name in there for name in names.split("|"))]
    if not missing:
        return ""
    called = "key" if kind.json else "column"
    names = ", ".join(missing).replace("|", " or ")
    held = there if kind.json else split_line(source.head[0], delimiter_of(source))
    others = shortened_names([*filter(None, held)])
    return f"which has no {called if len(missing) == 1 else f'{called}s'} {names}; there are {others}"


def is_json(source: Source) -> bool:
    """Whether a file begins as JSON does, one object a line or not."""
    return JSON.match(source.first) is not None


def _columns(kind: LogFormat, source: Source) -> Collection[str]:
    if kind.columns is not None:
        return kind.columns(source)
    return keys_of(source) if kind.json else [*map(normalised, split_line(source.head[0], delimiter_of(source)))]
