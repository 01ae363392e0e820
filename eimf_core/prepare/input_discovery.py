"""All formats, in the order in which a file is tried, and how arguments become logs and item files."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from typing import Any

from eimf_core import plugins
from eimf_core.config import no_choice, option_name, setting_error
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import format_fit, json_dialects, line_format, log_sources
from eimf_core.prepare.columns import (
    COLUMN_OPTIONS,
    ITEM_COLUMN_OPTIONS,
    TEXT_FIELDS,
    column_called,
    item_columns,
    named_column,
    shortened_names,
)
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats import MODULES
from eimf_core.prepare.formats.base import ItemFile, ItemFormat, LogFile, LogFormat, files_matching
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.memory_tables import MemoryTable
from eimf_core.prepare.scans import Delimited, JsonLines, Parquet


def _formats(name: str) -> tuple[Any, ...]:
    modules = (import_module(f"eimf_core.prepare.formats.{module}") for module in MODULES)
    return tuple(each for module in modules for each in getattr(module, name, ()))


LOGS: tuple[LogFormat, ...] = _formats("LOGS")
ITEMS: tuple[ItemFormat, ...] = _formats("ITEMS")
NAMES = ("auto", *(kind.name for kind in LOGS))


def find_logs(arguments: Sequence[Path | MemoryTable], config: PrepareConfig, scratch: Path) -> list[LogFile]:
    """The log files that the arguments name; a folder or an archive stands for the log files published in it.

    Args:
        arguments: files, folders, patterns or tables in memory.
        config: the settings.
        scratch: where stdin and what is unpacked lie.

    Returns:
        The files with their formats, in order.

    Raises:
        ConfigError: for a folder without a log, a format that a file is not of, an option that no log obeys, and a file
            that is named twice.
        InputError: for a file whose format is not recognised.
    """
    known = {kind.name: kind for kind in LOGS}
    if config.format != "auto" and config.format not in known:
        known[config.format] = _of_plugin(config.format)
    found: list[LogFile] = []
    for argument in arguments:
        for source in log_sources.sources(argument, _published(config.format), _published_kind, config, scratch):
            kind = known.get(config.format)
            if kind is not None:
                _refuse_misfit(kind, source, config)
            found.append(LogFile(source, kind or _detect_log(source, config)))
    for option in (*COLUMN_OPTIONS, "header", "separator", "time_format"):
        obeyed = "time_column" if option == "time_format" else option
        if config.is_set(option) and not any(obeyed in log.format.options for log in found):
            kinds = ", ".join(sorted({log.format.name for log in found}))
            raise ConfigError(f"{option_name(option)} does not go with a log of the kind {kinds}")
    if len({os.path.realpath(log.source.given_path) for log in found if log.source.folder is None}) < sum(
        log.source.folder is None for log in found
    ):
        raise ConfigError("a log file is named twice; its interactions would count twice")
    return found


def _refuse_misfit(kind: LogFormat, source: Source, config: PrepareConfig) -> None:
    """ConfigError where the kind that is named cannot read a file."""
    problem = format_fit.problem(kind, source, of_plugin=kind.name not in NAMES)
    if not problem:
        return
    way = _json_way(source) if format_fit.is_json(source) else "name another kind (eimf prepare --help lists them)"
    with contextlib.suppress(ConfigError, InputError):
        way = f"leave it out, and the file is read as {_detect_log(source, config).name}"
    raise ConfigError(f"--format {kind.name} does not go with {source.name}, {problem}; {way}")


def _of_plugin(name: str) -> LogFormat:
    plugin = plugins.find("formats", name)
    if plugin is None:
        raise setting_error("format", no_choice(name, plugins.names("formats")))
    found = plugin.load(
        lambda found: "" if isinstance(found, LogFormat) or isfunction(found) else "it is no LogFormat and no function"
    )
    return found if isinstance(found, LogFormat) else line_format.of_function(name, found)


def _published(format: str) -> list[str]:
    """Names of published logs, in the order in which they count."""
    return [group for kind in LOGS if format in ("auto", kind.name) for group in kind.published]


def _published_kind(source: Source) -> str | None:
    """The kind of a published log by what stands in it, whatever its name; None for other files."""
    kinds = (kind for kind in LOGS if not kind.options)
    return next((kind.name for kind in kinds if kind.parquet == source.parquet and kind.matches(source)), None)


def _detect_log(source: Source, config: PrepareConfig) -> LogFormat:
    named = [option for option in (*COLUMN_OPTIONS, "separator") if config.is_set(option)]
    known_by_its_own: LogFormat | None = None
    for kind in LOGS:
        if kind.parquet != source.parquet or not kind.matches(source):
            continue
        if kind.table or not named:
            # item text lies beside a published log whatever its columns are called
            beside = known_by_its_own.item_files if known_by_its_own else ()
            return dataclasses.replace(kind, item_files=beside) if beside else kind
        if kind.convert is not None:
            raise ConfigError(
                f"{option_name(named[0])} does not go with a log of the kind {kind.name}, which {source.name} is; "
                "leave it out, or say --format csv to read the file as any table"
            )
        known_by_its_own = known_by_its_own or kind
    if source.first[:1] in ("[", "{") and not source.parquet:
        python = json_dialects.LITERAL.match(source.first) and not source.first.startswith('{"')
        what = "Python that is more than plain values" if python else "JSON, but not one object a line"
        raise InputError(f"holds {what}; {_json_way(source)}", file=source.name)
    raise InputError(
        "is no log that is recognised; say with --separator what separates its columns, with --skip-lines how many "
        "lines come before its header, or name its kind with --format (eimf prepare --help lists them)",
        file=source.name,
    )


def find_items(
    items: Sequence[Path | MemoryTable], logs: Sequence[LogFile], config: PrepareConfig, scratch: Path
) -> list[ItemFile]:
    """Item files: those that are named, else those that lie beside the logs.

    Args:
        items: item files that are named.
        logs: the log files.
        config: the settings.
        scratch: where what is unpacked lies.

    Returns:
        The files with their formats and columns.

    Raises:
        ConfigError: for an option that no item file obeys.
        InputError: for a file whose format, or whose column of the item, is not recognised.
    """
    paths: dict[Path | MemoryTable, Source | None] = dict.fromkeys(items)
    for log in logs if not items else ():
        for path in files_matching(log.source.beside, log.format.item_files):
            paths.setdefault(Path(os.path.normpath(path)), log.source)
    # an item table may have a column of the same ids, and others of its own
    shared = dataclasses.replace(config, item_column=_item_column(logs, config)) if items else config
    found = [_item_file(log_sources.item_source(path, config, scratch, log), shared) for path, log in paths.items()]
    columns = {column for file in found for column in file.columns}
    for option in filter(config.is_set, ITEM_COLUMN_OPTIONS):
        if not columns:
            kinds = ", ".join(sorted({file.format.name for file in found}))
            where = f"item text of the kind {kinds}" if kinds else "a log without --items"
            raise ConfigError(f"{option_name(option)} does not go with {where}")
        if column_called([*columns], getattr(config, option)) is None:
            there = shortened_names([column for file in found for column in file.columns])
            raise ConfigError(
                f"{option_name(option)}: no item table has a column '{getattr(config, option)}'; there are {there}"
            )
    return found


def _item_column(logs: Sequence[LogFile], config: PrepareConfig) -> str | None:
    """The column of the item in the logs: named, or recognised in all of them by one name."""
    names = set()
    for log in logs if config.item_column is None else ():
        # what is wrong with the columns of a log is told where it is read
        with contextlib.suppress(InputError):
            scan = log.format.scan(log.source, config) if log.format.table else None
            names |= {scan.fields["item"]} if isinstance(scan, Delimited | JsonLines | Parquet) else set()
    return names.pop() if len(names) == 1 else config.item_column


def _item_file(source: Source, config: PrepareConfig) -> ItemFile:
    named = any(map(config.is_set, ITEM_COLUMN_OPTIONS))
    for kind in ITEMS:
        if kind.parquet == source.parquet and kind.matches(source) and (kind.columns is not None or not named):
            columns = kind.columns(source, config) if kind.columns else ()
            with source.advised():
                fields = item_columns(columns, config, source.name) if columns else {}
            return ItemFile(source, kind, columns, fields, config)
    way = "; " + _json_way(source) if source.first[:1] in ("[", "{") and not source.parquet else ""
    raise InputError(
        "is no item file that is recognised; expected Item lines, or a table, JSON lines or Parquet with an item and "
        f"a title column{way}",
        file=source.name,
    )


def _json_way(source: Source) -> str:
    """What makes one object a line of other JSON."""
    return "write JSON with one object a line, such as with " + (
        "jq -c '.[]'" if source.first.startswith("[") else "jq -c ."
    )


def check_text_columns(config: PrepareConfig, in_log: frozenset[str], files: Iterable[ItemFile]) -> None:
    """Look whether the log or an item table has each column of item text that the settings name.

    Args:
        config: the settings.
        in_log: the fields that the log has.
        files: the item tables.

    Raises:
        ConfigError: neither has one.
    """
    columns = [column for file in files for column in file.columns]
    for field in sorted(TEXT_FIELDS - in_log, reverse=True):
        named = named_column(config, field)
        if named and column_called(columns, named) is None:
            raise ConfigError(f"--{field}-column: neither the log nor an item table has a column '{named}'")


def help_lines() -> str:
    """One line for each format of a log."""
    width = max(len(kind.name) for kind in LOGS)
    return "\n".join(f"  {kind.name:{width}}  {kind.summary}" for kind in LOGS)
