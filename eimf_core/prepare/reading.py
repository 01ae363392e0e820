"""Log files into the engine's table `raw`: user, item, time (float seconds), rating, event, in file order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eimf_core.errors import InputError
from eimf_core.prepare.scans import Record, Scan
from eimf_core.prepare.sources import Source
from eimf_core.progress import Reporter

UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"), (0.0, 1.0, "seconds"))
"""From which size on a time is taken to be in a unit: seconds of this century have ten digits."""


@dataclass(frozen=True)
class Read:
    """What was read: `rows` good ones, the fields that every file has, the unit of times."""

    rows: int
    has: frozenset[str]
    unit: str | None


def read(connection: Any, logs: Sequence[tuple[Source, Scan]], reporter: Reporter) -> Read:
    """Read all files, in order, into the table `raw`; InputError names the first bad row."""
    has = frozenset.intersection(*(scan.has for _, scan in logs))
    connection.execute("CREATE TABLE raw (user VARCHAR, item VARCHAR, time DOUBLE, rating DOUBLE, event VARCHAR)")
    rows = 0
    for source, scan in logs:
        reporter.begin(f"reading {source.name}")
        rows += _read_file(connection, source, scan, has)
        reporter.end()
    if not rows:
        raise InputError("has no interactions", file=logs[0][0].name)
    return Read(rows=rows, has=has, unit=_settle_unit(connection) if "time" in has else None)


def _read_file(connection: Any, source: Source, scan: Scan, has: frozenset[str]) -> int:
    import duckdb

    before = connection.execute("SELECT count(*) FROM raw").fetchone()[0]
    time = "coalesce(try_cast(time AS DOUBLE), epoch(try_cast(time AS TIMESTAMP)))" if "time" in has else "NULL"
    try:
        connection.execute(
            f"INSERT INTO raw SELECT user, item, {time}, try_cast(rating AS DOUBLE), coalesce(event, '') "
            f"FROM ({scan.query(source.path)})"
        )
    except duckdb.IOException as error:
        raise InputError(f"cannot be read ({_first_line(error)})", file=source.name) from None
    except duckdb.InvalidInputException as error:
        raise InputError(f"is not the text it should be ({_first_line(error)})", file=source.name) from None
    needed = ["user IS NULL", "item IS NULL"] + (["time IS NULL", "NOT isfinite(time)"] if "time" in has else [])
    after, bad = connection.execute(
        f"SELECT count(*), count(*) FILTER ({' OR '.join(needed)}) FROM raw WHERE rowid >= {before}"
    ).fetchone()
    rejected = _rejected(connection)
    if bad or rejected:
        for line, reason in explain(scan, source, has):
            raise InputError(reason, file=source.name, line=line)
        first = rejected[0] if rejected else (None, "has a row without user, item or time")
        raise InputError(first[1], file=source.name, line=first[0])
    return int(after)


def _rejected(connection: Any) -> list[tuple[int, str]]:
    """Row number and reason of the rows that the engine could not take apart; forgets them."""
    import duckdb

    try:
        found = connection.execute("SELECT line, error_message FROM reject_errors ORDER BY line").fetchall()
        connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    except duckdb.CatalogException:
        return []
    return [(line, _first_line(message)) for line, message in found]


def _first_line(error: object) -> str:
    return str(error).splitlines()[0]


def explain(scan: Scan, source: Source, has: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Line and reason of each bad row, by reading the file again in Python."""
    for record in scan.records(source.path):
        reason = reason_of(record, has)
        if reason:
            yield record.line, reason


def reason_of(record: Record, has: frozenset[str]) -> str:
    """Why a row cannot be used; empty when it can."""
    if record.values is None:
        return record.problem
    for field in ("user", "item"):
        if not record.values.get(field):
            return f"field '{field}': is empty"
    if "time" in has and not _is_time(record.values["time"]):
        return f"field 'time': is '{record.values['time']}', expected a number of seconds or an ISO date"
    return ""


def _is_time(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        pass
    try:
        datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _settle_unit(connection: Any) -> str:
    """Recognise the unit of the times by their size and turn them into seconds; returns its name."""
    low, high = connection.execute("SELECT min(abs(time)), max(abs(time)) FROM raw").fetchone()
    for start, per_second, unit in UNITS:
        if high >= start:
            if low < start:
                raise InputError(
                    f"times from {low:.0f} to {high:.0f} are no one unit; give them all in seconds or milliseconds"
                )
            if per_second > 1:
                connection.execute(f"UPDATE raw SET time = time / {per_second}")
            return unit
    raise AssertionError("the last unit starts at 0")
