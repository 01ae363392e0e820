"""All formats, in the order in which a file is tried, and how arguments become logs and item files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from eimf_core.config import option_name
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.columns import COLUMN_OPTIONS, TEXT_FIELDS, item_columns, named_column
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats import MODULES
from eimf_core.prepare.formats.base import ItemFile, ItemFormat, LogFile, LogFormat, files_matching
from eimf_core.prepare.log_files import Source


def _formats(name: str) -> tuple[Any, ...]:
    modules = (import_module(f"eimf_core.prepare.formats.{module}") for module in MODULES)
    return tuple(each for module in modules for each in getattr(module, name, ()))


LOGS: tuple[LogFormat, ...] = _formats("LOGS")
ITEMS: tuple[ItemFormat, ...] = _formats("ITEMS")


def find_logs(arguments: Sequence[Path], config: PrepareConfig, scratch: Path) -> list[LogFile]:
    """The log files that the arguments name; a folder stands for the log files published in it.

    Raises:
        ConfigError: for a folder without a log, an option that no log obeys, and a file that is named twice.
        InputError: for a file whose format is not recognised.
    """
    known = {kind.name: kind for kind in LOGS}
    if config.format != "auto" and config.format not in known:
        raise ConfigError(f"--format is '{config.format}', expected auto, {', '.join(known)}")
    found: list[LogFile] = []
    for argument in arguments:
        paths = _in_folder(argument, config.format) if argument.is_dir() else log_files.expand(argument, scratch)
        for path in paths:
            source = log_files.probe(path, "-" if str(argument) == "-" else None)
            found.append(LogFile(source, known.get(config.format) or _detect_log(source, config)))
    for option in (*COLUMN_OPTIONS, "header"):
        if config.is_set(option) and not any(option in log.format.options for log in found):
            kinds = ", ".join(sorted({log.format.name for log in found}))
            raise ConfigError(f"{option_name(option)} does not go with a log of the kind {kinds}")
    if len({log.source.path.resolve() for log in found}) < len(found):
        raise ConfigError("a log file is named twice; its interactions would count twice")
    return found


def _in_folder(folder: Path, format: str) -> list[Path]:
    for kind in LOGS:
        if format not in ("auto", kind.name):
            continue
        for group in kind.published:
            each = [files_matching(folder, (pattern,)) for pattern in group.split()]
            if all(each):
                return [path for paths in each for path in paths]
    names = sorted({pattern for kind in LOGS for pattern in kind.published})
    raise ConfigError(
        f"{folder}: holds none of the logs that are known by name ({', '.join(names)}); name the log file itself"
    )


def _detect_log(source: Source, config: PrepareConfig) -> LogFormat:
    named = any(map(config.is_set, COLUMN_OPTIONS))
    for kind in LOGS:
        if kind.parquet == source.parquet and kind.matches(source) and (kind.table or not named):
            return kind
    if source.first[:1] in ("[", "{") and not source.parquet:
        way = "jq -c '.[]'" if source.first.startswith("[") else "jq -c ."
        raise InputError(f"holds JSON, but not one object a line; write it so, such as with {way}", file=source.name)
    raise InputError(
        "is no log that is recognised; name its kind with --format (eimf prepare --help lists them)", file=source.name
    )


def find_items(items: Sequence[Path], logs: Sequence[LogFile], config: PrepareConfig) -> list[ItemFile]:
    """Item files: those that are named, else those that lie beside the logs.

    Raises:
        InputError: for a file whose format, or whose column of the item, is not recognised.
    """
    beside = (path for log in logs for path in files_matching(log.source.path.parent, log.format.item_files))
    paths = list(items) or list(dict.fromkeys(Path(os.path.normpath(path)) for path in beside))
    return [_item_file(log_files.probe(path), config) for path in paths]


def _item_file(source: Source, config: PrepareConfig) -> ItemFile:
    for kind in ITEMS:
        if kind.parquet == source.parquet and kind.matches(source):
            fields = item_columns(kind.columns(source), config, source.name) if kind.columns else {}
            return ItemFile(source, kind, fields)
    raise InputError(
        "is no item file that is recognised; expected Item lines, or a table, JSON lines or Parquet with an item and "
        "a title column",
        file=source.name,
    )


def check_text_columns(config: PrepareConfig, in_log: frozenset[str], files: Iterable[ItemFile]) -> None:
    """ConfigError where the settings name a column of item text that neither the log nor an item table has."""
    columns = {column for file in files for column in file.columns}
    for field in sorted(TEXT_FIELDS - in_log, reverse=True):
        named = named_column(config, field)
        if named and named not in columns:
            raise ConfigError(f"--{field}-column: neither the log nor an item table has a column '{named}'")


def help_lines() -> str:
    """One line for each format of a log."""
    width = max(len(kind.name) for kind in LOGS)
    return "\n".join(f"  {kind.name:{width}}  {kind.summary}" for kind in LOGS)
