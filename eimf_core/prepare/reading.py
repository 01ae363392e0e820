"""Log files into the engine's table `raw`: user, item and what else there is, in file order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import InputError
from eimf_core.prepare import engine, sources
from eimf_core.prepare.scans import Record, Scan
from eimf_core.prepare.sources import Source
from eimf_core.progress import Reporter

UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"), (0.0, 1.0, "seconds"))
"""From which size on a time is taken to be in a unit: seconds of this century have ten digits."""
COLUMNS = {
    "user": ("VARCHAR", "user"),
    "item": ("VARCHAR", "item"),
    "time": ("DOUBLE", "coalesce(try_cast(time AS DOUBLE), epoch(try_cast(time AS TIMESTAMPTZ)))"),
    "rating": ("DOUBLE", "try_cast(rating AS DOUBLE)"),
    "event": ("VARCHAR", "coalesce(event, '')"),
}
"""Columns of `raw` and how they come from the text of a scan."""
NUMBERS = ("time", "rating")
LATEST_DATE = 253_402_300_800
"""Seconds that no date reaches: the year 10000."""
NOT_UTF8 = "is not UTF-8; convert the file first, such as with iconv -f iso-8859-1 -t utf-8"


@dataclass(frozen=True)
class Read:
    """What was read: `rows` good ones, the columns of `raw`, the unit of times, rejected rows by reason."""

    rows: int
    has: frozenset[str]
    unit: str | None
    rejected: Counter[str] = field(default_factory=Counter)


def read(
    connection: Any,
    logs: Sequence[tuple[Source, Scan]],
    reporter: Reporter,
    *,
    scratch: Path,
    wanted: frozenset[str] = frozenset(COLUMNS),
    rejects: Path | None = None,
) -> Read:
    """Read all files, in order, into the table `raw`.

    `wanted`: fields beside user and item that are read where every file has them. Without `rejects`
    the first bad row is an InputError; with it bad rows are written there, one JSON object a line.
    """
    has = frozenset.intersection(*(scan.has for _, scan in logs)) & (wanted | {"user", "item"}) & frozenset(COLUMNS)
    for lost in sorted(frozenset.union(*(scan.has for _, scan in logs)) & wanted & frozenset(COLUMNS) - has):
        if lost != "rating":
            reporter.warn(f"not every file has a {lost}; the {lost}s there are do not count")
    columns = ", ".join(f"{field} {COLUMNS[field][0]}" for field in COLUMNS if field in has)
    connection.execute(f"CREATE TABLE raw ({columns})")
    rejected: Counter[str] = Counter()
    for source, scan in logs:
        reporter.begin(f"reading {source.name}")
        rejected += _read_file(connection, source, scan, has, scratch, rejects)
        reporter.end()
    rows = connection.execute("SELECT count(*) FROM raw").fetchone()[0]
    if not rows:
        problem = "has no usable interactions; see the rejects file" if rejected else "has no interactions"
        raise InputError(problem, file=logs[0][0].name)
    unit = None
    if "time" in has:
        unit = _settle_unit(connection, logs)
    return Read(rows=rows, has=has, unit=unit, rejected=rejected)


def _read_file(
    connection: Any, source: Source, scan: Scan, has: frozenset[str], scratch: Path, rejects: Path | None
) -> Counter[str]:
    """Append a file to `raw`; the reasons of rows that were left out."""
    before = connection.execute("SELECT count(*) FROM raw").fetchone()[0]
    with ThreadPoolExecutor(1) as pool:
        packed = pool.submit(sources.check_gzip, source.path) if sources.is_gzip(source.path) else None
        _insert(connection, source, scan, has, scratch)
        if packed and packed.result():
            raise InputError(f"broken gzip stream ({packed.result()})", file=source.name)
    needed = [f"{field} IS NULL" for field in COLUMNS if field in has]
    needed += [f"NOT isfinite({field})" for field in NUMBERS if field in has]
    (bad,) = connection.execute(
        f"SELECT count(*) FROM raw WHERE rowid >= {before} AND ({' OR '.join(needed)})"
    ).fetchone()
    shapeless = _rejected(connection)
    if not bad and not shapeless:
        return Counter()
    if rejects is None:
        for line, reason, _ in explain(scan, source, has):
            raise InputError(f"{reason}; --on-error skip leaves such rows out", file=source.name, line=line)
        first = shapeless[0] if shapeless else (None, "has a row without user, item or time")
        raise InputError(first[1], file=source.name, line=first[0])
    connection.execute(f"DELETE FROM raw WHERE rowid >= {before} AND ({' OR '.join(needed)})")
    return _write_rejects(rejects, source, scan, has, bad + len({line for line, _ in shapeless}), shapeless)


def _insert(connection: Any, source: Source, scan: Scan, has: frozenset[str], scratch: Path) -> None:
    """Append the rows of a file to `raw`; what the engine cannot read at all is an InputError."""
    import duckdb

    fields = [field for field in COLUMNS if field in has]
    values = ", ".join(COLUMNS[field][1] for field in fields)

    def insert(path: Path) -> None:
        connection.execute(f"INSERT INTO raw SELECT {values} FROM ({scan.query(path)})")

    try:
        try:
            insert(source.path)
        except duckdb.InvalidInputException:
            # lines that end now in CR LF, now in LF; the rejects of the first try are forgotten
            _rejected(connection)
            plain = _with_plain_ends(source.path, scratch / "plain")
            if plain is None:
                raise
            insert(plain)
            plain.unlink()
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        if engine.is_full(error):
            raise
        for line, reason, _ in explain(scan, source, has):
            raise InputError(reason, file=source.name, line=line) from None
        raise InputError(f"cannot be read ({_first_line(error)})", file=source.name) from None


def _with_plain_ends(path: Path, target: Path) -> Path | None:
    """A copy whose lines all end in LF; None where there is no CR, or only the engine can unpack it."""
    if path.name.endswith(".zst"):
        return None
    changed = False
    with sources.reading(path) as stream, open(target, "wb") as copy:
        for line in stream:
            changed = changed or line.endswith(b"\r\n")
            copy.write(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
    return target if changed else None


def _rejected(connection: Any) -> list[tuple[int, str]]:
    """Row number and reason of the rows that the engine could not take apart; forgets them."""
    import duckdb

    try:
        found = connection.execute("SELECT line, error_message FROM reject_errors ORDER BY line").fetchall()
        connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    except duckdb.CatalogException:
        return []
    return [(line, NOT_UTF8 if "utf-8" in message else _first_line(message)) for line, message in found]


def _first_line(error: object) -> str:
    return str(error).splitlines()[0]


def _write_rejects(
    path: Path, source: Source, scan: Scan, has: frozenset[str], expected: int, shapeless: list[tuple[int, str]]
) -> Counter[str]:
    """Append the bad rows of a file to the rejects file; their reasons without the value at hand."""
    reasons: Counter[str] = Counter()

    def write(line: int | None, reason: str, text: str) -> None:
        row = {"file": source.name, "line": line, "reason": reason, "text": text}
        stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    with open(path, "ab") as stream:
        for line, reason, text in explain(scan, source, has):
            write(line, reason, text.encode("utf-8", "replace").decode())
            reasons[_kind(reason)] += 1
        if reasons.total() < expected:
            # the engine is stricter in some corner than the slow reader: its own words then
            for line, reason in shapeless[: expected - reasons.total()]:
                write(line, reason, "")
                reasons[_kind(reason)] += 1
    if reasons.total() < expected:
        reasons["a value that the engine cannot read"] += expected - reasons.total()
    return reasons


def _kind(reason: str) -> str:
    """A reason without the value that it quotes: "field 'time': is 'soon', expected …" is a bad time."""
    if reason.startswith("field '"):
        return " ".join(reason.split(": ")[:2]).split(", expected")[0].split(" is '")[0]
    return reason.split(" (")[0]


def explain(scan: Scan, source: Source, has: frozenset[str]) -> Iterator[tuple[int, str, str]]:
    """Line, reason and text of each bad row, by reading the file again in Python."""
    for record in scan.records(source.path):
        reason = reason_of(record, has)
        if reason:
            yield record.line, reason, record.text


def reason_of(record: Record, has: frozenset[str]) -> str:
    """Why a row cannot be used; empty when it can."""
    if record.values is None:
        return record.problem
    for name in ("user", "item"):
        if not record.values.get(name):
            return f"field '{name}': is empty"
    if "time" in has and not _is_number(record.values["time"]) and not _is_date(record.values["time"]):
        return f"field 'time': is '{record.values['time']}', expected a number of seconds or an ISO date"
    if "rating" in has and not _is_number(record.values["rating"]):
        return f"field 'rating': is '{record.values['rating']}', expected a number"
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    if _is_number(text):
        return False
    try:
        datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return False
    return True


def _are_dates(source: Source, scan: Scan) -> bool:
    """Whether the first time is written as a date."""
    texts = (record.values["time"] for record in scan.records(source.path) if record.values)
    return _is_date(next((text for text in texts if _is_number(text) or _is_date(text)), "0"))


def _settle_unit(connection: Any, logs: Sequence[tuple[Source, Scan]]) -> str:
    """Recognise the unit of the times by their size and turn them into seconds; returns its name."""
    low, high = connection.execute("SELECT min(abs(time)), max(abs(time)) FROM raw").fetchone()
    if _are_dates(*logs[0]):
        if high >= LATEST_DATE:
            raise _two_units(logs)
        return "dates"
    for start, per_second, unit in UNITS:
        if high >= start:
            if low < start:
                raise _two_units(logs)
            if per_second > 1:
                connection.execute(f"UPDATE raw SET time = time / {per_second}")
            return unit
    raise AssertionError("the last unit starts at 0")


def _two_units(logs: Sequence[tuple[Source, Scan]]) -> InputError:
    """The error that names the first time whose unit is not that of the first; dates count as seconds."""
    known = ""
    for source, scan in logs:
        for record in scan.records(source.path):
            text = record.values["time"] if record.values else ""
            unit = _unit_of(text)
            known = known or unit
            if unit != known and unit:
                problem = f"is '{text}', which looks like {unit}, after {known}: times are not of one unit"
                return InputError(
                    f"field 'time': {problem}; give them all in seconds or all in milliseconds",
                    file=source.name,
                    line=record.line,
                )
    return InputError("field 'time': times are not of one unit; give them all in seconds", file=logs[0][0].name)


def _unit_of(text: str) -> str:
    """The unit that the size of a time speaks for; empty for what is none."""
    if _is_number(text):
        return next(unit for start, _, unit in UNITS if abs(float(text)) >= start)
    return "seconds" if _is_date(text) else ""
