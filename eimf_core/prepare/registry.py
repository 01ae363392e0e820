"""All formats, in the order in which a file is tried, and how arguments become logs and item files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats import (
    amazon,
    histories,
    item_tables,
    movielens,
    ordered_logs,
    ready_sequences,
    recbole,
    tables,
)
from eimf_core.prepare.formats.base import COLUMN_OPTIONS, ItemFormat, LogFormat, existing
from eimf_core.prepare.log_files import Source

LOGS: tuple[LogFormat, ...] = (
    *movielens.LOGS, *amazon.LOGS, *histories.LOGS, *recbole.LOGS, *ordered_logs.LOGS, *ready_sequences.LOGS,
    *tables.LOGS,
)  # fmt: skip
ITEMS: tuple[ItemFormat, ...] = (
    *movielens.ITEMS, *amazon.ITEMS, *recbole.ITEMS, *ordered_logs.ITEMS,
)  # fmt: skip
TABLES = ("jsonl", "parquet", "csv")


@dataclass(frozen=True)
class Found:
    """A log file and its format."""

    source: Source
    format: LogFormat


def find_logs(arguments: Sequence[Path], settings: PrepareConfig, scratch: Path) -> list[Found]:
    """The log files that the arguments name; a folder stands for the log files published in it."""
    known = {kind.name: kind for kind in LOGS}
    wanted = settings.format
    if wanted != "auto" and wanted not in known:
        raise ConfigError(f"--format is '{wanted}', expected auto, {', '.join(known)}")
    found: list[Found] = []
    for argument in arguments:
        for path in _in_folder(argument, wanted) if argument.is_dir() else log_files.expand(argument, scratch):
            source = log_files.probe(path, "-" if str(argument) == "-" else None)
            found.append(Found(source, known[wanted] if wanted != "auto" else _recognise(source, settings)))
    for option in (*COLUMN_OPTIONS, "header"):
        told = getattr(settings, option)
        if told not in (None, "auto") and not any(option in log.format.options for log in found):
            kinds = ", ".join(sorted({log.format.name for log in found}))
            raise ConfigError(f"--{option.replace('_', '-')} does not go with a log of the kind {kinds}")
    twice = {log.source.path.resolve() for log in found}
    if len(twice) < len(found):
        raise ConfigError("a log file is named twice; its interactions would count twice")
    return found


def _in_folder(folder: Path, wanted: str) -> list[Path]:
    for kind in LOGS:
        if wanted not in ("auto", kind.name):
            continue
        for group in kind.logs:
            each = [existing(folder, (pattern,)) for pattern in group.split()]
            if all(each):
                return [path for paths in each for path in paths]
    names = sorted({pattern for kind in LOGS for pattern in kind.logs})
    raise ConfigError(
        f"{folder}: holds none of the logs that are known by name ({', '.join(names)}); name the log file itself"
    )


def _recognise(source: Source, settings: PrepareConfig) -> LogFormat:
    told = any(getattr(settings, option) for option in COLUMN_OPTIONS)
    for kind in LOGS:
        # whoever names columns means a table
        if (kind.name == "parquet") == source.parquet and kind.matches(source) and (not told or kind.name in TABLES):
            return kind
    if source.first[:1] in ("[", "{") and not source.parquet:
        way = "jq -c '.[]'" if source.first.startswith("[") else "jq -c ."
        raise InputError(f"holds JSON, but not one object a line; write it so, such as with {way}", file=source.name)
    raise InputError(
        "is no log that is recognised; name its kind with --format (eimf prepare --help lists them)", file=source.name
    )


def find_items(
    items: Sequence[Path], logs: Sequence[Found], settings: PrepareConfig
) -> list[tuple[Source, ItemFormat]]:
    """Item files: those that are named, else those that lie beside the logs."""
    beside = (path for log in logs for path in existing(log.source.path.parent, log.format.items))
    paths = list(items) or list(dict.fromkeys(Path(os.path.normpath(path)) for path in beside))
    return [(source, _recognise_items(source, settings)) for source in map(log_files.probe, paths)]


def _recognise_items(source: Source, settings: PrepareConfig) -> ItemFormat:
    for kind in ITEMS:
        if not source.parquet and kind.matches(source):
            return kind
    return item_tables.recognise(source, settings)


def help_lines() -> str:
    """One line for each format of a log."""
    width = max(len(kind.name) for kind in LOGS)
    return "\n".join(f"  {kind.name:{width}}  {kind.summary}" for kind in LOGS)
