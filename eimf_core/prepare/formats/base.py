"""What a format is: how a log or an item file is told apart and read. Plain data, no classes to derive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import Scan
from eimf_core.records import Item

COLUMN_OPTIONS = ("user_column", "item_column", "time_column", "rating_column", "event_column")


@dataclass(frozen=True)
class LogFormat:
    """A kind of interaction log.

    `summary`: its line in the help. `matches`: whether a file is one, by name and first lines.
    `scan`: how its rows are read. `logs`: names (glob patterns, several in one string belong
    together) of such files in a published folder; the first that is there counts. `items`: names of
    the item files beside a log. `convert`: for kinds whose rows overlap: all files to one that
    `scan` reads, in the scratch folder given. `options`: the settings on columns and header that
    this kind obeys.
    """

    name: str
    summary: str
    matches: Callable[[Source], bool]
    scan: Callable[[Source, PrepareConfig], Scan]
    logs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    convert: Callable[[Sequence[Source], Path, Rejects], Path] | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class BadRow:
    """A row of an item file that cannot be used: the error that names it, and its text."""

    error: InputError
    text: str


@dataclass(frozen=True)
class ItemFormat:
    """A kind of item file; `read` gives raw items, text not yet cleaned, and rows that are none.

    `columns`: those of a file whose columns are found by name or told. `warning`: what the user
    should know of this file.
    """

    name: str
    matches: Callable[[Source], bool]
    read: Callable[[Source, PrepareConfig], Iterator[Item | BadRow]]
    columns: Callable[[Source], tuple[str, ...]] | None = None
    warning: str = ""


def existing(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Files of a folder that any of the patterns names, packed or not, in the order of the patterns."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        for ending in ("", ".gz", ".zst"):
            for path in sorted(folder.glob(pattern + ending)):
                if path.is_file():
                    found.setdefault(path)
    return list(found)


def read_object(path: Path) -> dict[str, Any]:
    """The one JSON object that a file holds."""
    with log_files.reading(path) as stream:
        try:
            found = orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise InputError(f"not a JSON object ({error})", file=path) from None
    if not isinstance(found, dict):
        raise InputError("is not a JSON object", file=path)
    return found
