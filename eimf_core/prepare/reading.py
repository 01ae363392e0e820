"""Log files into the engine's table `raw`: user, item and what else there is, in file order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from eimf_core.errors import InputError
from eimf_core.prepare import engine, sources, times
from eimf_core.prepare.scans import Record, Scan
from eimf_core.prepare.sources import NOT_UTF8, Source
from eimf_core.progress import Reporter

COLUMNS = {
    "user": ("VARCHAR", "nullif(user, '')"),
    "item": ("VARCHAR", "nullif(item, '')"),
    "time": ("DOUBLE", "coalesce(try_cast(time AS DOUBLE), epoch(try_cast(time AS TIMESTAMPTZ)))"),
    "rating": ("DOUBLE", "try_cast(rating AS DOUBLE)"),
    "event": ("VARCHAR", "coalesce(event, '')"),
}
"""Columns of `raw` and how they come from the text of a scan."""
NUMBERS = ("time", "rating")
MEND = "all times have to be of one unit; mend it, or leave such rows out with --on-error skip"
QUOTED = re.compile(r" is '.*', ", re.DOTALL)


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
        said = "; ".join(f"{count:,} rows: {reason}" for reason, count in rejected.most_common(3))
        raise InputError(f"has no {'usable ' if said else ''}interactions{said and f' ({said})'}", file=logs[0][0].name)
    unit = None
    if "time" in has:
        unit, unfit = _settle_times(connection, logs, has, rejects)
        rejected += unfit
        rows -= unfit.total()
    return Read(rows=rows, has=has, unit=unit, rejected=rejected)


def _settle_times(
    connection: Any, logs: Sequence[tuple[Source, Scan]], has: frozenset[str], rejects: Path | None
) -> tuple[str, Counter[str]]:
    """Leave out the times that are not of the unit of most and turn the others into seconds."""
    unit, bad = times.recognise(connection, logs)
    rejected: Counter[str] = Counter()
    if bad:
        unfit = (
            (source, record.line, unit.reason(record.values["time"]), record.text)
            for source, scan in logs
            for record in scan.records(source.path)
            if record.values and not reason_of(record, has) and unit.reason(record.values["time"])
        )
        if rejects is None:
            source, line, reason, _ = next(unfit)
            raise InputError(f"{reason}; {MEND}", file=source.name, line=line, field="time")
        connection.execute(f"DELETE FROM raw WHERE {unit.unfit}")
        with open(rejects, "ab") as stream:
            for source, line, reason, text in unfit:
                _reject(stream, source, line, f"field 'time': {reason}", text)
                rejected[_kind(f"field 'time': {reason}")] += 1
    if unit.seconds:
        connection.execute(f"UPDATE raw SET time = {unit.seconds}")
    return unit.name, rejected


def _read_file(
    connection: Any, source: Source, scan: Scan, has: frozenset[str], scratch: Path, rejects: Path | None
) -> Counter[str]:
    """Append a file to `raw`; the reasons of rows that were left out."""
    before = connection.execute("SELECT count(*) FROM raw").fetchone()[0]
    with ThreadPoolExecutor(1) as pool:
        packed = pool.submit(sources.check_gzip, source.path) if sources.packing(source.path) == "gzip" else None
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
            # behind blank lines the engine does not see that ends are of two kinds
            insert((source.blank and _with_plain_ends(source.path, scratch / "plain")) or source.path)
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
    if sources.packing(path) == "zstd":
        return None
    changed = False
    with sources.reading(path) as stream, open(target, "wb") as copy:
        for line in stream:
            changed = changed or line.endswith(b"\r\n")
            copy.write(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
    return target if changed else None


def _rejected(connection: Any) -> list[tuple[int, str]]:
    """Row number and reason of the rows that the engine could not take apart; forgets them."""
    found = engine.rejected(connection)
    return [(line, NOT_UTF8 if "utf-8" in message else _first_line(message)) for line, message, _ in found]


def _first_line(error: object) -> str:
    return str(error).splitlines()[0]


def _write_rejects(
    path: Path, source: Source, scan: Scan, has: frozenset[str], expected: int, shapeless: list[tuple[int, str]]
) -> Counter[str]:
    """Append the bad rows of a file to the rejects file; their reasons without the value at hand."""
    reasons: Counter[str] = Counter()
    named = set()
    with open(path, "ab") as stream:
        for line, reason, text in explain(scan, source, has):
            _reject(stream, source, line, reason, text)
            reasons[_kind(reason)] += 1
            named.add(line)
        if reasons.total() < expected:
            # the engine is stricter in some corner than the slow reader: its own words then
            others = [(line, reason) for line, reason in shapeless if line not in named]
            for line, reason in others[: expected - reasons.total()]:
                _reject(stream, source, line, reason, "")
                reasons[_kind(reason)] += 1
    if reasons.total() < expected:
        reasons["a value that the engine cannot read"] += expected - reasons.total()
    return reasons


def _reject(stream: IO[bytes], source: Source, line: int | None, reason: str, text: str) -> None:
    """Write a bad row; bytes that are no UTF-8 are shown as ISO-8859-1."""
    if not sources.is_utf8(text):
        text = text.encode("utf-8", "surrogateescape").decode("iso-8859-1")
    row = {"file": source.name, "line": line, "reason": reason, "text": text}
    stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _kind(reason: str) -> str:
    """A reason without the value that it quotes, to be counted."""
    return QUOTED.sub(" ", reason).split(" (")[0]


def explain(scan: Scan, source: Source, has: frozenset[str]) -> Iterator[tuple[int, str, str]]:
    """Line, reason and text of each bad row, by reading the file again in Python."""
    for record in scan.records(source.path):
        reason = reason_of(record, has) if sources.is_utf8(record.text) else NOT_UTF8
        if reason:
            yield record.line, reason, record.text


def reason_of(record: Record, has: frozenset[str]) -> str:
    """Why a row cannot be used; empty when it can."""
    if record.values is None:
        return record.problem
    for name in ("user", "item"):
        if not record.values.get(name):
            return f"field '{name}': is empty"
    if "time" in has and times.value_of(record.values["time"]) is None:
        return f"field 'time': is '{record.values['time']}', {times.NO_TIME}"
    if "rating" in has and not times.is_number(record.values["rating"]):
        return f"field 'rating': is '{record.values['rating']}', expected a number"
    return ""
