"""All formats, in the order in which a file is tried, and how arguments become logs and item files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import sources
from eimf_core.prepare.formats import amazon, movielens, sequences, tables
from eimf_core.prepare.formats.base import ItemFormat, LogFormat, existing
from eimf_core.prepare.sources import Source

LOGS: tuple[LogFormat, ...] = (*movielens.LOGS, *amazon.LOGS, *sequences.LOGS, *tables.LOGS)
ITEMS: tuple[ItemFormat, ...] = (*movielens.ITEMS, *amazon.ITEMS, *sequences.ITEMS, *tables.ITEMS)


@dataclass(frozen=True)
class Found:
    """A log file and its format."""

    source: Source
    format: LogFormat


def find_logs(arguments: Sequence[Path], wanted: str) -> list[Found]:
    """The log files that the arguments name; a folder stands for the log files published in it."""
    known = {kind.name: kind for kind in LOGS}
    if wanted != "auto" and wanted not in known:
        raise ConfigError(f"--format is '{wanted}', expected auto, {', '.join(known)}")
    found = []
    for argument in arguments:
        for path in _in_folder(argument, wanted) if argument.is_dir() else [argument]:
            source = sources.probe(path)
            found.append(Found(source, known[wanted] if wanted != "auto" else _recognise(source)))
    return found


def _in_folder(folder: Path, wanted: str) -> list[Path]:
    for kind in LOGS:
        if wanted not in ("auto", kind.name):
            continue
        for pattern in kind.logs:
            paths = existing(folder, (pattern,))
            if paths:
                return paths
    names = sorted({pattern for kind in LOGS for pattern in kind.logs})
    raise ConfigError(
        f"{folder}: holds none of the logs that are known by name ({', '.join(names)}); name the log file itself"
    )


def _recognise(source: Source) -> LogFormat:
    for kind in LOGS:
        if kind.matches(source):
            return kind
    raise InputError(
        "is no log that is recognised; name its kind with --format (eimf prepare --help lists them)", file=source.name
    )


def find_items(items: Sequence[Path], logs: Sequence[Found]) -> list[tuple[Source, ItemFormat]]:
    """Item files: those that are named, else those that lie beside the logs."""
    paths = list(items) or list(
        dict.fromkeys(path for log in logs for path in existing(log.source.path.parent, log.format.items))
    )
    return [(source, _recognise_items(source)) for source in map(sources.probe, paths)]


def _recognise_items(source: Source) -> ItemFormat:
    for kind in ITEMS:
        if kind.matches(source):
            return kind
    raise InputError(
        "is no item file that is recognised; expected Item lines, or a table with an item and a title column",
        file=source.name,
    )
