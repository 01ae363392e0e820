"""The unit of a log's times, detected by their size, and which of them cannot be times in that unit."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eimf_core.io.sql_text import literal
from eimf_core.prepare.value_parsing import is_number

COUNTERS = "small numbers, which are no dates"
UNITS = (
    (COUNTERS, 0.0, 1.0), ("seconds", 1e8, 1.0), ("milliseconds", 1e11, 1e3), ("microseconds", 1e14, 1e6),
    ("nanoseconds", 1e17, 1e9),
)  # fmt: skip
"""Unit, the size from which on a time is taken to be in it, and how many make a second.

Each covers the years 1973 to 5138; what is too small for seconds counts something of the log's own.
"""
PLAUSIBLE, DAY = 631152000.0, 86400.0
"""Seconds of 1990, before which no log is likely to begin, and of a day."""
SAME = 1000
"""Rows of one time from which on times are too coarse."""
LATEST = 1e11
EARLIEST = -1e10
"""Seconds (of the years 5138 and 1653) that no time reaches."""
FAR = 10
"""How many times smaller than all others a time has to be to stand for none, as 0 often does."""
OTHER_STARTS = (
    ("ticks of .NET", 5.9e17, 7e17, 1e7, -62135596800.0), ("ticks of Windows", 1.2e17, 1.5e17, 1e7, -11644473600.0),
    ("microseconds since 1601", 1.2e16, 1.5e16, 1e6, -11644473600.0),
)  # fmt: skip
"""Times that do not count from 1970: the least, what is too large, how many make a second, when they start.

As nanoseconds or microseconds since 1970 they would be of 1989 to 1992, 1973 to 1974, or the years from 2350 on.

Source: System.DateTime.Ticks of .NET, FILETIME of Windows, times of WebKit.
"""
DAYS = (("days of a spreadsheet", 25569.0), ("Julian days", 2440587.5))
"""Counts of days with the time of the day as their fraction, and which of them 1970 began with.

Source: the date system 1900 of Excel; the Julian date of astronomy, as in SQLite.
"""
DAYS_FROM, DAYS_TO = 7305.0, 29219.0
"""Days since 1970 of 1990 and 2050, between which such counts are taken for days."""
COMPACT = {
    "YYYYMMDD": (19000101, 22000101, "%Y%m%d"),
    "YYYYMMDDHH": (1970010100, 2100010100, "%Y%m%d%H"),
    "YYYYMMDDHHMM": (197001010000, 210001010000, "%Y%m%d%H%M"),
    "YYYYMMDDHHMMSS": (19700101000000, 21000101000000, "%Y%m%d%H%M%S"),
}
"""Dates written without separators, which are numbers: the least, what is too large, the format of strptime."""


@dataclass(frozen=True)
class Unit:
    """How the times of a log are written; a time is valid when `low` <= its absolute value < `high`.

    `seconds`: SQL that makes seconds of it; empty where they are seconds or taken as they are.
    """

    name: str
    low: float
    high: float
    per_second: float = 1.0
    seconds: str = ""

    @property
    def invalid_sql(self) -> str:
        """The SQL condition of a row of `raw` whose time cannot be one."""
        earliest = EARLIEST * self.per_second
        return f"NOT (abs(time) >= {self.low!r} AND abs(time) < {self.high!r} AND time > {earliest!r})"

    def is_valid(self, value: float) -> bool:
        """The same in Python, as a time that can be one."""
        return self.low <= abs(value) < self.high and value > EARLIEST * self.per_second

    def problem(self, text: str, value: float | None) -> str:
        """Why a time, as a text and as read, cannot be one of this unit; empty when it can, or is no time at all."""
        if value is None or self.is_valid(value):
            return ""
        if not value:
            return f"is '{text}', which stands for no time"
        other = _name_of(abs(value))
        if not is_number(text) or other in (self.name, COUNTERS) or value < 0:
            return f"is '{text}', which cannot be when most times are {self.name}"
        return f"is '{text}', which looks like {other} when most times are {self.name}"


def detect_unit(connection: Any, *, dates: bool) -> tuple[Unit, int]:
    """The unit that most times in `raw` are of, and how many cannot be; dates are there as seconds."""
    least, most = connection.execute("SELECT min(time), max(time) FROM raw").fetchone()
    unit = _majority_unit(connection, dates)
    if least > 0 and unit.is_valid(least) and unit.is_valid(most):
        return unit, 0
    (invalid,) = connection.execute(f"SELECT count(*) FROM raw WHERE {unit.invalid_sql}").fetchone()
    return unit, invalid


def _majority_unit(connection: Any, dates: bool) -> Unit:
    groups = " ".join(f"WHEN abs(time) >= {start!r} THEN {at}" for at, (_, start, _) in reversed([*enumerate(UNITS)]))
    found = connection.execute(
        f"SELECT CASE {groups} END AS unit, min(abs(time)) FILTER (WHERE time <> 0), max(abs(time)) "
        "FROM raw GROUP BY unit ORDER BY count(*) FILTER (WHERE time <> 0) DESC, unit = 0, unit"
    ).fetchall()
    low = {unit: smallest for unit, smallest, _ in found}
    high = {unit: largest for unit, _, largest in found}
    most = found[0][0]
    if (
        not dates
        and low[most]
        and (compact := _compact(connection, min(filter(None, low.values())), max(high.values())))
    ):
        return compact
    if (
        not dates
        and most == 0
        and len([*filter(None, low.values())]) == 1
        and (days := _days(connection, low[0], high[0]))
    ):
        return days
    if dates or most <= 1:
        # steps and seconds together are one range of numbers, unless a gap parts them
        smallest = min((low[unit] for unit in (0, 1) if low.get(unit)), default=0.0)
        if dates:
            return Unit("dates", 1.0 if smallest >= UNITS[1][1] else 0.0, LATEST)
        has_gap = most == 1 and FAR * high.get(0, 0.0) < low[1]
        return Unit(UNITS[most][0], UNITS[1][1] if has_gap else 0.0, LATEST)
    name, start, per_second = UNITS[most]
    for other, least, beyond, in_second, begin in OTHER_STARTS:
        if least <= low[most] <= high[most] < beyond:
            return Unit(other, least, beyond, in_second, f"time / {in_second!r} + ({begin!r})")
    return Unit(name, start, LATEST * per_second, per_second, f"time / {per_second!r}")


def _compact(connection: Any, low: float, high: float) -> Unit | None:
    """The unit of times that are all, but for zeros, dates such as 20170714 or 20170714093000."""
    for name, (least, beyond, form) in COMPACT.items():
        if not least <= low <= high < beyond:
            continue
        read = f"strptime(time::BIGINT::VARCHAR, {literal(form)})"
        (others,) = connection.execute(
            f"SELECT count(*) FROM raw WHERE time <> 0 AND (time <> floor(time) OR try_{read} IS NULL)"
        ).fetchone()
        # seconds that could be dates with an hour are later than now
        if not others and (name != "YYYYMMDDHH" or low > time.time()):
            return Unit(f"dates without dashes ({name})", 1.0, LATEST * 1e4, seconds=f"epoch({read})")
    return None


def _days(connection: Any, low: float, high: float) -> Unit | None:
    """The unit of times that are all days with a fraction, from 1990 to 2050; whole ones may count anything."""
    for name, start in DAYS:
        least, beyond = start + DAYS_FROM, start + DAYS_TO
        if not least <= low <= high < beyond:
            continue
        (fractions,) = connection.execute("SELECT count(*) FROM raw WHERE time % 1 NOT IN (0, 0.5)").fetchone()
        if fractions:
            return Unit(name, least, beyond, seconds=f"round((time - {start!r}) * {DAY!r}, 3)")
    return None


def _name_of(size: float) -> str:
    return next(name for name, start, _ in reversed(UNITS) if size >= start)


def warnings(connection: Any, unit: Unit) -> list[str]:
    """What is odd about the times of `raw`, which are in seconds by now."""
    first, last, rows, distinct = connection.execute(
        "SELECT min(time), max(time), count(*), approx_count_distinct(time) FROM raw"
    ).fetchone()
    found = []
    start = DAYS[0][1]
    if unit.name == COUNTERS and start + DAYS_FROM <= first <= last < start + DAYS_TO:
        day = _day((first - start) * DAY)
        found.append(
            f"times from {first:,.0f} to {last:,.0f} are taken as counting numbers; if they are days of a spreadsheet "
            f"({first:.0f} is {day}), save the column as dates"
        )
    if unit.name != COUNTERS:
        now = time.time()
        for limit, sign, what in ((PLAUSIBLE, "<", "before 1990"), (now + DAY, ">", "in the future")):
            if first < limit if sign == "<" else last > limit:
                (count,) = connection.execute(f"SELECT count(*) FROM raw WHERE time {sign} {limit!r}").fetchone()
                found.append(
                    f"{count:,} of {rows:,} times are {what} ({_day(first if sign == '<' else last)}), read as "
                    f"{unit.name}; is this the column of the time, and its unit?"
                )
    if rows >= SAME and distinct * SAME <= rows:
        times = "all times are the same" if first == last else f"only about {distinct:,} different times"
        found.append(
            f"{times} in {rows:,} rows: within each the order of the lines is taken; name what orders them with a "
            "second --time-column"
        )
    return found


def _day(seconds: float) -> str:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    return f"{seconds:g} s"
