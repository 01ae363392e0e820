"""Log files into DuckDB's table `raw`: user, item and what else there is, in file order."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core.errors import InputError
from eimf_core.io.sql_text import literal
from eimf_core.prepare import (
    duckdb_session,
    item_catalogue,
    log_files,
    row_checks,
    time_reading,
    time_units,
    value_parsing,
)
from eimf_core.prepare.csv_cells import BAD_QUOTE
from eimf_core.prepare.log_files import NOT_UTF8, Source
from eimf_core.prepare.rejects import SKIP, Rejects
from eimf_core.prepare.scans import Delimited, ParsedRow, Scan
from eimf_core.prepare.time_reading import TimeReading
from eimf_core.progress import Reporter
from eimf_core.records import Item

COLUMNS = {
    "user": ("VARCHAR", value_parsing.present_sql("user")),
    "item": ("VARCHAR", value_parsing.present_sql("item")),
    "time": ("DOUBLE", ""),
    "tie": ("DOUBLE[]", ""),
    "rating": ("DOUBLE", "try_cast(replace(rating, ',', '.') AS DOUBLE)"),
    "event": ("VARCHAR", f"coalesce({value_parsing.trimmed_sql('event')}, '')"),
    "status": ("VARCHAR", "status"),
}
"""Columns of `raw` and how they come from the text of a scan; of times, each file's `TimeReading` says it."""
NUMBERS = ("time", "rating")
MAY_LACK = ("tie", "status")
"""Columns of `raw` that a usable row may lack."""
FIX_TIMES = "all times have to be of one unit; mend it, or leave such rows out with --on-error skip"
MOSTLY_BAD = "its columns or its --format are probably others; --on-error skip would leave little"
REPORT_IT = "this is a mistake in eimf, please report it"


@dataclass(frozen=True)
class Read:
    """What was read: the columns of `raw`, the unit of times, the columns that order equal ones, items of the log."""

    has: frozenset[str]
    unit: str | None
    ordered_by: str
    items: list[Item]


def read(
    connection: Any,
    logs: Sequence[tuple[Source, Scan]],
    reporter: Reporter,
    *,
    scratch: Path,
    rejects: Rejects,
    fields: frozenset[str] = frozenset(COLUMNS),
    time_format: str | None = None,
) -> Read:
    """Read all files, in order, into the table `raw`.

    Args:
        connection: to DuckDB.
        logs: the files and how each is read.
        reporter: hears of progress and warnings.
        scratch: where rows that were checked one by one lie.
        rejects: gets bad rows.
        fields: those beside user and item that are read where every file has them.
        time_format: the one form of times, where the settings name it.

    Returns:
        What columns `raw` has, and the items that the log itself describes.
    """
    has = frozenset.intersection(*(scan.has for _, scan in logs)) & (fields | {"user", "item"}) & frozenset(COLUMNS)
    for missing in sorted(frozenset.union(*(scan.has for _, scan in logs)) & fields & frozenset(COLUMNS) - has):
        if missing != "rating":
            without = next(source.name for source, scan in logs if missing not in scan.has)
            reporter.warn(f"{without}: has no {missing}; the {missing}s of the other files do not count")
    has |= {"status"} if any("status" in scan.has for _, scan in logs) else set()
    times = time_reading.readings(connection, logs, time_format) if "time" in has else [TimeReading()] * len(logs)
    raw = RawTable(connection, has | {"tie"} if any(each.parts.ties for each in times) else has)
    items: list[Item] = []
    for number, (source, scan) in enumerate(logs):
        reporter.begin(f"reading {source.name}")
        copy = scratch / f"log-{number}"
        with duckdb_session.reading(source.name):
            items += _read_file(raw, source, scan, times[number], copy, rejects)
        copy.unlink(missing_ok=True)
        reporter.end()
    if raw.empty_rows:
        reporter.note(f"{raw.empty_rows:,} empty row{'' if raw.empty_rows == 1 else 's'} passed over")
    unit = _convert_times(raw, logs, times, rejects, reporter) if "time" in has and raw.rows() else None
    if not raw.rows():
        reasons = "; ".join(f"{count:,} rows: {reason}" for reason, count in rejects.reasons.most_common(3))
        raise InputError(
            f"has no {'usable ' if reasons else ''}interactions{reasons and f' ({reasons})'}", file=logs[0][0].name
        )
    ties = (scan.time_columns[at] for (_, scan), each in zip(logs, times, strict=True) for at in each.parts.ties)
    return Read(has=raw.has, unit=unit, ordered_by=", ".join(dict.fromkeys(ties)), items=items)


class RawTable:
    """The table `raw` of DuckDB, one row an interaction; `has` are its columns.

    `empty_rows`: rows of the files that had nothing in them, and were passed over.
    """

    def __init__(self, connection: Any, has: frozenset[str]) -> None:
        self.connection = connection
        self.has = has
        self.empty_rows = 0
        self._fields = [field for field in COLUMNS if field in has]
        columns = ", ".join(f"{field} {COLUMNS[field][0]}" for field in self._fields)
        connection.execute(f"CREATE TABLE raw ({columns})")

    def rows(self, condition: str = "true") -> int:
        """How many rows meet a condition."""
        count: int = self.connection.execute(f"SELECT count(*) FROM raw WHERE {condition}").fetchone()[0]
        return count

    def rows_from_here(self) -> str:
        """The condition of the rows that are appended from now on."""
        (after,) = self.connection.execute("SELECT coalesce(max(rowid) + 1, 0) FROM raw").fetchone()
        return f"rowid >= {after}"

    def unusable(self) -> str:
        """The condition of a row with a value that is none of its column."""
        tests = [f"{field} IS NULL" for field in self._fields if field not in MAY_LACK]
        tests += [f"NOT isfinite({field})" for field in NUMBERS if field in self.has]
        return f"({' OR '.join(tests)})"

    def delete(self, condition: str) -> None:
        """Remove the rows that meet a condition."""
        self.connection.execute(f"DELETE FROM raw WHERE {condition}")

    def append(self, path: Path, scan: Scan, times: TimeReading) -> tuple[list[Item], int]:
        """Append the rows of a file.

        Args:
            path: of the file.
            scan: how it is read.
            times: how its times are read.

        Returns:
            The items that it describes, and how many rows DuckDB skipped.
        """
        of_time = {"time": times.time_sql, "tie": times.ties_sql}
        values = ", ".join(of_time[field]("time") if field in of_time else COLUMNS[field][1] for field in self._fields)
        self.connection.execute(f"INSERT INTO raw SELECT {values} FROM ({scan.query(path)})")
        skipped = {line for line, _, _ in duckdb_session.rejected(self.connection)}
        # DuckDB looks at no more of a row than is asked for: bytes that are no text may be in the title alone
        items = item_catalogue.from_log(self.connection, path, scan)
        skipped |= {line for line, _, _ in duckdb_session.rejected(self.connection)}
        return items, len(skipped)


def _convert_times(
    raw: RawTable,
    logs: Sequence[tuple[Source, Scan]],
    times: Sequence[TimeReading],
    rejects: Rejects,
    reporter: Reporter,
) -> str:
    """Leave out the times that are not of the unit of most and turn the others into seconds."""
    unit, bad = time_units.detect_unit(raw.connection, dates=times[0].dates)
    if bad:
        found = 0
        for (source, scan), reading in zip(logs, times, strict=True):
            for record, reason in row_checks.checked_rows(scan, source, raw.has, reading):
                text = record.values["time"] if record.values and not reason else ""
                invalid = unit.problem(reading.parts.text(text), reading.parse(text)) if text else ""
                if invalid:
                    rejects.add(source.name, record.line, f"field 'time': {invalid}", record.text, advice=FIX_TIMES)
                    found += 1
        if found != bad:
            raise RuntimeError(f"{bad:,} times are not {unit.name}, but {found:,} of them were found; {REPORT_IT}")
        raw.delete(unit.invalid_sql)
    if unit.seconds:
        raw.connection.execute(f"UPDATE raw SET time = {unit.seconds}")
    if raw.rows():
        for warning in time_units.warnings(raw.connection, unit):
            reporter.warn(warning)
    return unit.name


def _read_file(
    raw: RawTable, source: Source, scan: Scan, times: TimeReading, copy: Path, rejects: Rejects
) -> list[Item]:
    """Append a file to `raw`; returns the items that it describes.

    Where DuckDB cannot use every row as it is, each row is checked in Python, and the good ones
    come to DuckDB again.
    """
    of_file = raw.rows_from_here()
    header = scan.header_ids.items() if isinstance(scan, Delimited) else ()
    again = " AND ".join(f"{field} = {literal(column)}" for field, column in header) or "false"
    unusable = f"{of_file} AND ({raw.unusable()} OR {again})"
    with ThreadPoolExecutor(1) as pool:
        checking = pool.submit(log_files.refuse_broken, source)
        # of what is refused no more is read
        checking.add_done_callback(lambda done: raw.connection.interrupt() if done.exception() else None)
        try:
            items, skipped = _append(raw, source, scan, times, copy)
        finally:
            checking.result()
    bad = None if skipped is None else skipped + raw.rows(unusable)
    if bad and isinstance(scan, Delimited):
        bad -= _skip_empty(raw, scan, copy if copy.exists() else source.path, of_file)
    if bad == 0:
        return items
    mostly_bad = ""
    if bad is not None and 2 * bad > (rows := (skipped or 0) + raw.rows(of_file)):
        mostly_bad = f"{bad:,} of {rows:,} rows have something wrong; {MOSTLY_BAD}"

    def reject(record: ParsedRow, reason: str) -> None:
        # to skip is no help where it leaves little, or would lose every accent; an open quote hides the rows behind it
        advice = "" if reason == NOT_UTF8 else SKIP if reason == BAD_QUOTE else mostly_bad or SKIP
        rejects.add(source.name, record.line, reason, record.text, advice=advice)

    raw.delete(of_file)
    plain, usable = row_checks.write_good_rows(scan, source, raw.has, times, copy, reject)
    if usable:
        items, skipped = _append(raw, Source(copy, source.name, ()), plain, times.of_plain, copy)
        if skipped or raw.rows(unusable) or raw.rows(of_file) != usable:
            raise RuntimeError(f"{source.name}: not all of {usable:,} good rows were taken; {REPORT_IT}")
    return items


def _skip_empty(raw: RawTable, scan: Delimited, path: Path, of_file: str) -> int:
    """Remove the rows of a file whose cells are all empty, where no other row lacks both ids; returns how many."""
    without_ids = f"{of_file} AND user IS NULL AND item IS NULL"
    (empty,) = raw.connection.execute(scan.empty_rows(path)).fetchone()
    duckdb_session.rejected(raw.connection)
    raw.empty_rows += empty
    if not empty or raw.rows(without_ids) != empty:
        return 0
    raw.delete(without_ids)
    return int(empty)


def _append(raw: RawTable, source: Source, scan: Scan, times: TimeReading, copy: Path) -> tuple[list[Item], int | None]:
    """As `RawTable.append`, whatever its lines end with; None skipped where DuckDB gives a file up and adds nothing."""
    duckdb = duckdb_session.library()

    try:
        # behind blank lines DuckDB does not see that lines end now in CR LF, now in LF
        plain = log_files.with_unix_line_ends(source.path, copy) if source.before else None
        try:
            return raw.append(plain or source.path, scan, times)
        except duckdb.InvalidInputException:
            duckdb_session.rejected(raw.connection)
            plain = None if plain else log_files.with_unix_line_ends(source.path, copy)
            if plain is None:
                raise
            return raw.append(plain, scan, times)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        if duckdb_session.is_full(error):
            raise
        duckdb_session.rejected(raw.connection)
        return [], None
