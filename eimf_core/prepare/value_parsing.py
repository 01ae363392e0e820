"""What counts as blank, as a number and as a time in the text of a log: one rule for DuckDB and for Python.

DuckDB reads the bulk with the SQL that stands here; Python judges single values with the same
pattern. Python has the last word: where DuckDB cannot read a value that Python can, the row
comes to it again in a plain form.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

BLANKS = " \t\n\v\f\r"
"""What may stand around a value and does not count."""
MISSING = frozenset({
    "", "NA", "N/A", "n/a", "N.A.", "n.a.", "#N/A", "#NA", "#N/A N/A", "<NA>", "NaN", "nan", "NAN", "-nan", "-NaN",
    "NaT", "NULL", "Null", "null", "(null)", "[null]", "<null>", "None", "none", "NONE", "\\N", "undefined", "missing",
    "nil", "<nil>", "(not set)", "(none)", "-1.#IND", "1.#IND", "-1.#QNAN", "1.#QNAN", "#REF!", "#VALUE!", "#NAME?",
    "#NULL!", "#NUM!", "#DIV/0!", "-", "--", "?",
})  # fmt: skip
"""What stands for no value in an id, a time, a rating or a title: the words of pandas, SQL dumps and spreadsheets."""
BLANKS_SQL = "concat(' ', chr(9), chr(10), chr(11), chr(12), chr(13))"
NUMBER = re.compile(r"[-+._0-9eE]+")
_MONTH, _DAY, _BLANK = "(0?[1-9]|1[0-2])", "(0?[1-9]|[12][0-9]|3[01])", r"[ \t\n\v\f\r]*"
DATE = (
    f"{_BLANK}([0-9]{{3}}[1-9]|[0-9]{{2}}[1-9]0|[0-9][1-9]00|[1-9]000)(?:-{_MONTH}-{_DAY}|/{_MONTH}/{_DAY})"
    r"(?:[T ]([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]{1,9}))?)?"
    rf"(?:Z| UTC|(?: ?([-+])(0[0-9]|1[0-4])(?::?([0-5][0-9]))?))?)?{_BLANK}"
)
"""A date of the years 1 to 9999, with or without a time of the day and a zone, for Python and DuckDB alike."""
_DATE = re.compile(DATE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_TIME = (
    "expected a number of seconds, an ISO date such as 2024-01-31 or 2024-01-31T10:00:00Z, or a form that "
    "--time-format gives, such as %d.%m.%Y"
)


def trimmed_sql(field: str) -> str:
    """SQL for a text without blanks around it; whether there are any costs less to see than to cut."""
    return f"CASE WHEN {field} < '!' OR {field}[-1] < '!' THEN trim({field}, {BLANKS_SQL}) ELSE {field} END"


def present_sql(field: str) -> str:
    """SQL for a text without blanks around it; null for a word that stands for no value."""
    # DuckDB makes a join of a long IN, and the rows lose the order of the file; a CASE of all words is slow to plan
    words = "|".join(sorted(MISSING))
    trimmed = trimmed_sql(field)
    # what ends in a digit or is longer than every word is none of them, which costs less to see than to compare
    longer = f"strlen({field}) > {max(map(len, MISSING))} AND {field}[-1] >= '!'"
    plain = f"{field} >= '!' AND ({longer} OR {field}[-1] BETWEEN '0' AND '9')"
    word = f"contains('|{words}|', concat('|', {trimmed}, '|')) AND NOT contains({field}, '|')"
    return f"CASE WHEN {plain} THEN {field} WHEN {field} IS NULL OR ({word}) THEN NULL ELSE {trimmed} END"


def is_missing(text: str) -> bool:
    """Whether a text stands for no value."""
    return text.strip(BLANKS) in MISSING


def missing_problem(text: str, what: str) -> str:
    """Why a text that stands for no value cannot be used; `what` it should have been."""
    return f"stands for no {what} ('{text.strip(BLANKS)}')" if text.strip(BLANKS) else "is empty"


def time_sql(field: str) -> str:
    """SQL for a time, as `parse_time` gives it; null for what is none."""
    # DuckDB knows no blank before the zone
    date = f"replace(replace(trim({field}, {BLANKS_SQL}), ' +', '+'), ' -', '-')"
    return (
        f"coalesce(try_cast({field} AS DOUBLE), "
        f"CASE WHEN regexp_full_match({field}, '{DATE}') THEN epoch(try_cast({date} AS TIMESTAMPTZ)) END)"
    )


def is_number(text: str) -> bool:
    """Whether a text is a finite number, as DuckDB reads it."""
    return parse_number(text) is not None


def parse_number(text: str) -> float | None:
    """A finite number; None for what is none."""
    plain = text.strip(BLANKS)
    try:
        value = float(plain) if NUMBER.fullmatch(plain) else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_time(text: str) -> float | None:
    """A number as it is, a date in seconds (UTC unless it says otherwise); None for what is neither."""
    number = parse_number(text)
    if number is not None:
        return number
    parts = _DATE.fullmatch(text)
    if not parts:
        return None
    year, month, day, month_too, day_too, hour, minute, second = (int(part or 0) for part in parts.groups()[:8])
    fraction, sign, hours, minutes = parts.groups()[8:]
    try:
        date = datetime(year, month or month_too, day or day_too, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    ahead = int(hours or 0) * 3600 + int(minutes or 0) * 60
    whole = (date - EPOCH) // timedelta(seconds=1) + (ahead if sign == "-" else -ahead)
    # whole microseconds, as DuckDB has it; beyond the year 2200 floats are too coarse for the last digit
    return (whole * 10**6 + int((fraction or "0")[:6].ljust(6, "0"))) / 10**6
