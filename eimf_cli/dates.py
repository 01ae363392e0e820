"""Times of a log as dates for people."""

from __future__ import annotations

from datetime import UTC, datetime

FIRST_DATE = 1e8
"""Seconds (of 1973) below which a time is a number of the log's own."""


def moment(seconds: float) -> str:
    """A time as date and hour, UTC; small numbers, which are none, as they are."""
    return _formatted(seconds, "%Y-%m-%d %H:%M:%S")


def day(seconds: float) -> str:
    """A time as a date, UTC; small numbers, which are none, as they are."""
    return _formatted(seconds, "%Y-%m-%d")


def _formatted(seconds: float, form: str) -> str:
    if 0 <= seconds < FIRST_DATE:
        return f"{seconds:g}"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return str(seconds)
