"""Log files read and filtered: from what was found on the command line to the log as arrays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import (
    duckdb_session,
    filters,
    log_arrays,
    log_files,
    log_reader,
    log_titles,
    multi_item_cells,
    order_status,
    time_columns,
)
from eimf_core.prepare.columns import shortened_names
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import LogFile
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import one_line
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import Delimited, JsonLines, Parquet, Scan, UserLines
from eimf_core.prepare.time_columns import Values
from eimf_core.progress import Reporter
from eimf_core.records import Item
from eimf_core.text_cleaning import shortened_at_word

Scans = list[tuple[Source, Scan]]
FIRST_ROWS = 5
"""Rows that the report shows."""
Unused = list[tuple[Source, Values]]
"""Of each log whose columns may be named, those that are not used with their first values."""


@dataclass(frozen=True)
class Loaded:
    """The filtered log, the unit of its times, what the filters did, items that the log itself describes.

    `ordered_by`: the columns that order equal times; empty where the file does. `status_columns`: what became of rows.
    `first_rows`: user, item, seconds (None without times) and event (likewise) of the first rows, before the filters.
    """

    log: log_arrays.Log
    unit: str | None
    steps: list[filters.FilterStep]
    items: list[Item]
    first_rows: list[tuple[str, str, float | None, str | None]]
    ordered_by: str
    status_columns: list[order_status.StatusColumn]


def scans_of(
    logs: list[LogFile], config: PrepareConfig, scratch: Path, rejects: Rejects, *, titles: bool = False
) -> tuple[Scans, Unused]:
    """How each log file is read, and what is unused of it; files of a kind whose rows overlap become one first.

    Args:
        logs: the log files.
        config: the settings.
        scratch: where a file of joined rows lies.
        rejects: gets bad rows of files that are joined.
        titles: whether a column of titles is looked for, since no item table gives any.

    Returns:
        The files with their scans, and the columns that no field has with their first values.

    Raises:
        ConfigError: for a log without times where the split needs them.
    """
    scans, unused = [], []
    for log in logs:
        if log.format.convert is not None:
            continue
        scan = log.format.scan(log.source, config)
        if "time_column" in log.format.options:
            scan, values = time_columns.with_times(log.source, scan, config)
            scan = log_titles.with_title(scan, values) if titles else scan
            scan = order_status.with_status_columns(scan, values)
            unused.append((log.source, values))
        elif isinstance(scan, Delimited) and not log.format.options and "time" not in scan.has:
            # a published table without times; pairs, which are in time order, have options
            unused.append((log.source, time_columns.unused_values(log.source, scan) if scan.header else {}))
        scans.append((log.source, scan))
    for name in sorted({log.format.name for log in logs if log.format.convert is not None}):
        group = [log for log in logs if log.format.name == name]
        assert group[0].format.convert is not None
        path = group[0].format.convert([log.source for log in group], scratch, rejects)
        source = dataclasses.replace(group[0].source, path=path)
        scans.append((source, group[0].format.scan(source, config)))
    without_times = [source for source, scan in scans if "time" not in scan.has]
    if config.split == "temporal" and without_times:
        # a file that is cut off is to be had again first
        for source, _ in scans:
            log_files.refuse_broken(source)
        columns = [values for source, values in unused if source is without_times[0]]
        named = f", or name their column{time_columns.likely(columns[0])}" if columns and columns[0] else ""
        raise ConfigError(
            f"{without_times[0].name}: {_no_times(logs, without_times[0])}, which --split temporal needs; "
            f"choose --split leave-one-out, by-user or none{named}"
        )
    return scans, unused


def _no_times(logs: list[LogFile], source: Source) -> str:
    """What is said of a log without times, in the words of its kind."""
    return next((log.format.no_times for log in logs if log.source.name == source.name), "has no times")


def load(
    scratch: Path, scans: Scans, unused: Unused, config: PrepareConfig, rejects: Rejects, reporter: Reporter
) -> Loaded:
    """Read and filter a log.

    Args:
        scratch: the folder of the arrays' files.
        scans, unused: as `scans_of` gives them.
        config: the settings.
        rejects: gets bad rows.
        reporter: hears of progress, remarks and warnings.

    Returns:
        The log behind all filters, and what each removed.

    Raises:
        ConfigError: for a filter whose field the log does not have.
        InputError: for a bad row (unless rejects are collected), and where nothing is left.
    """
    columns = {source.name: values for source, values in unused}
    for source, scan in scans:
        _note_columns(source, scan, columns.get(source.name, {}), reporter)
    fields = frozenset({"time", "event"} | ({"rating"} if config.min_rating is not None else set()))
    with duckdb_session.connected(scratch, memory_limit=config.memory_limit, threads=config.threads) as connection:
        read = log_reader.read(
            connection, scans, reporter, scratch=scratch, fields=fields, rejects=rejects, time_format=config.time_format
        )
        if read.unit:
            reporter.note(f"times are {read.unit}")
        first_rows = _first_rows(connection, read.has)
        conditions = filters.conditions(config, read.has)
        if config.event:
            filters.check_events(connection, config.event)
        steps = filters.count_conditions(connection, conditions) if conditions else []
        if steps and not steps[-1].interactions:
            raise _nothing_left(steps, scans[0][0])
        status_columns = order_status.count(connection, scans, read.has, list(conditions.values()))
        log = log_arrays.build(
            connection,
            scratch,
            has=read.has,
            where=list(conditions.values()),
            reporter=reporter,
            hash_users=config.hash_users,
        )
    multi_item_cells.refuse_lists(log.item_ids, scans[0][0].name)
    if several := multi_item_cells.warning(log.item_ids, scans[0][0].name):
        reporter.warn(several)
    if not steps:
        steps = [filters.FilterStep("read", 0, len(log.user_ids), len(log.item_ids), len(log))]
    log, more = filters.apply(log, config)
    steps += more
    if not len(log):
        raise _nothing_left(steps, scans[0][0])
    return Loaded(log, read.unit, steps, read.items, first_rows, read.ordered_by, status_columns)


def _first_rows(connection: Any, has: frozenset[str]) -> list[tuple[str, str, float | None, str | None]]:
    columns = ", ".join(field if field in has else "NULL" for field in ("user", "item", "time", "event"))
    return [*connection.execute(f"SELECT {columns} FROM raw LIMIT {FIRST_ROWS}").fetchall()]


def _note_columns(source: Source, scan: Scan, unused: Values, reporter: Reporter) -> None:
    """Say which column is which field, which are none, and what an unclear first line was taken for."""
    if isinstance(scan, Delimited | JsonLines | Parquet):
        used = {column for field in scan.fields if field != "status" for column in scan.columns_of(field)}
        free = [column for column in unused if column and column not in used]
        names = {field: " + ".join(scan.columns_of(field)) for field in scan.fields if field != "status"}
        said = (field if field == name else f"{field} from '{name}'" for field, name in names.items())
        not_used = f"; not used: {shortened_names(free)}" if free else ""
        reporter.note(f"{source.name}: columns: {', '.join(said)}{not_used}")
    if isinstance(scan, Delimited | UserLines) and scan.first:
        taken_for = "is a header, not data" if scan.header else "is data, not a header"
        reporter.note(f"{source.name}: the first line ({shortened_at_word(one_line(scan.first), 80)}) {taken_for}")


def _nothing_left(steps: list[filters.FilterStep], source: Source) -> InputError:
    counts = "; ".join(f"{step.name}: {step.interactions:,}" for step in steps)
    return InputError(f"nothing is left after the filters ({counts}); loosen the last of them", file=source.name)
