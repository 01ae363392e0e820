"""Rows checked one by one in Python: what is wrong with a bad one, and the good ones in a plain form.

DuckDB reads a log fast and says only that something in it cannot be used. The file is then read
again here, slowly, which has the last word: each row is either bad, with a reason, or goes on to
DuckDB as plain JSON lines. So no row is lost between two opinions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from eimf_core.prepare import log_files, value_parsing
from eimf_core.prepare.columns import SCANNED, TEXT_FIELDS
from eimf_core.prepare.log_files import NOT_UTF8, Source
from eimf_core.prepare.scans import JsonLines, ParsedRow, Scan
from eimf_core.prepare.time_reading import TimeReading
from eimf_core.prepare.value_parsing import BLANKS

HALF_CHARACTER = "holds half of a surrogate pair, which is no text"
NO_NUMBER = "expected a number"


def checked_rows(
    scan: Scan, source: Source, has: frozenset[str], times: TimeReading
) -> Iterator[tuple[ParsedRow, str]]:
    """Each row of a file, checked.

    Args:
        scan: how the file is read.
        source: the file.
        has: the fields that a usable row has.
        times: how its times are read.

    Yields:
        A row and why it cannot be used; empty when it can.
    """
    for record in scan.records(source.path):
        yield record, row_problem(record, has, times) if log_files.is_utf8(record.text) else NOT_UTF8


def row_problem(record: ParsedRow, has: frozenset[str], times: TimeReading) -> str:
    """Why a row cannot be used; empty when it can."""
    if record.values is None:
        return record.problem
    for name, value in record.values.items():
        if isinstance(value, str) and not log_files.is_utf8(value):
            return f"field '{name}': {HALF_CHARACTER}"
    for name in ("user", "item"):
        if value_parsing.is_missing(record.values[name]):
            return f"field '{name}': {value_parsing.missing_problem(record.values[name], name)}"
    if "time" in has and times.parse(record.values["time"]) is None:
        return f"field 'time': {times.problem(record.values['time'])}"
    if "rating" in has and _rating(record.values["rating"]) is None:
        rating = record.values["rating"]
        missing = value_parsing.is_missing(rating)
        problem = value_parsing.missing_problem(rating, "rating") if missing else f"is '{rating}', {NO_NUMBER}"
        return f"field 'rating': {problem}"
    return ""


def _rating(text: str) -> float | None:
    """A rating, which may have a comma for its point."""
    return value_parsing.parse_number(text.replace(",", "."))


def write_good_rows(
    scan: Scan,
    source: Source,
    has: frozenset[str],
    times: TimeReading,
    target: Path,
    bad: Callable[[ParsedRow, str], None],
) -> tuple[Scan, int]:
    """Write the usable rows to a file.

    Args:
        scan: how the rows are read.
        source: the file that they are in.
        has: the fields that a usable row has.
        times: how its times are read.
        target: where they go, as JSON lines.
        bad: is told of each other row and its reason.

    Returns:
        How the target is read, and how many rows it has.
    """
    fields = [field for field in SCANNED if field in scan.has & (has | TEXT_FIELDS)]
    rows = 0
    with open(target, "wb") as stream:
        for record, reason in checked_rows(scan, source, has, times):
            if reason:
                bad(record, reason)
            else:
                assert record.values is not None
                plain = {field: _plain(field, record.values[field], times) for field in fields}
                stream.write(orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE))
                rows += 1
    return JsonLines({field: field for field in fields}, guessed_title=scan.guessed_title), rows


def _plain(field: str, text: str, times: TimeReading) -> str:
    if field == "time":
        return times.plain(text)
    return repr(_rating(text)) if field == "rating" else text.strip(BLANKS)
