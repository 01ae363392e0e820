"""How the times of each file are read, decided over all of their rows: the columns' parts and the forms of dates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from eimf_core.errors import InputError
from eimf_core.prepare import duckdb_session, time_forms, value_parsing
from eimf_core.prepare.columns import normalised
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import Scan
from eimf_core.prepare.time_forms import formats_of, order_of, tidied, tidied_sql
from eimf_core.prepare.time_parts import CLOCK, PARTED, Parts, parts_of
from eimf_core.prepare.value_parsing import is_missing, missing_problem, parse_time

SAMPLE, MAX_ROWS = 300, 50_000
"""Times that are looked at first, and rows among which they are sought."""
CONTRADICTED = 0.01
"""Share of a column's dates from which on two orders of day and month stand in it."""

ONE_COLUMN = Parts()


@dataclass(frozen=True)
class TimeReading:
    """How the texts of a time are read.

    Attributes:
        parts: what its columns are.
        formats: formats of strptime, in the order in which they are tried; numbers and ISO dates need none.
        given: whether they are the only form, as the settings say.
        dates: whether the first time is written as a date.
    """

    parts: Parts = ONE_COLUMN
    formats: tuple[str, ...] = ()
    given: bool = False
    dates: bool = False

    def time_sql(self, field: str) -> str:
        """SQL for the seconds, or the number, of a time; null for what is none."""
        text = self.parts.text_sql(field)
        forms = [time_forms.read_sql(tidied_sql(text), form) for form in self.formats]
        return f"coalesce({', '.join([*forms, *([] if self.given else [value_parsing.time_sql(text)])])}, NULL)"

    def ties_sql(self, field: str) -> str:
        """SQL for a list of numbers that order equal times."""
        cells = [self.parts.cell_sql(field, at) for at in self.parts.ties]
        return f"[{', '.join(map(value_parsing.time_sql, cells))}]::DOUBLE[]"

    def parse(self, value: str) -> float | None:
        """A time as `time_sql` gives it, and dates of other unmistakable forms, which are rare enough to be slow."""
        text = self.parts.text(value)
        found = next((time for form in self.formats if (time := time_forms.read(tidied(text), form)) is not None), None)
        if found is not None or self.given:
            return found
        number = parse_time(text)
        if number is not None:
            return number
        forms = formats_of(text)
        if len(forms) > 1:
            orders = {order_of(form) for form in self.formats}
            forms = tuple(form for form in forms if order_of(form) in orders)
        return time_forms.read(tidied(text), forms[0]) if len(forms) == 1 else None

    def problem(self, value: str) -> str:
        """What is wrong with a text that is no time."""
        text = self.parts.text(value)
        if is_missing(text):
            return missing_problem(text, "time")
        if self.given:
            return f"is '{text}', which is not of the form --time-format '{self.formats[0]}'"
        if CLOCK.fullmatch(text.strip(value_parsing.BLANKS)):
            columns = "--time-column DATE --time-column TIME"
            return f"is '{text}', which is a time of the day; name the column of the date too: {columns}"
        if forms := formats_of(text):
            return f"is '{text}', where {_ambiguity(forms)}"
        return f"is '{text}', {value_parsing.NO_TIME}"

    def plain(self, value: str) -> str:
        """A time that can be read in a form that needs no deciding."""
        cells = value.split(PARTED)
        return PARTED.join([repr(self.parse(value)), *(cells[at] for at in self.parts.ties)])

    @property
    def of_plain(self) -> TimeReading:
        """How what `plain` gives is read."""
        return TimeReading(Parts(("date", *["tie"] * len(self.parts.ties))))


def _ambiguity(forms: Sequence[str]) -> str:
    what = "day, month and year" if len(forms) > 2 else "day and month"
    choices = " or ".join(f"--time-format '{form}'" for form in forms)
    return f"{what} cannot be told apart; say {choices}"


def readings(connection: Any, logs: Sequence[tuple[Source, Scan]], time_format: str | None) -> list[TimeReading]:
    """How the times of each file are read.

    Args:
        connection: to DuckDB.
        logs: the files, some maybe without times.
        time_format: the only form, where the settings name one.

    Returns:
        One for each file, in order.

    Raises:
        InputError: for a column where day and month cannot be told apart.
    """
    found = [_first_look(source, scan, time_format) for source, scan in logs]
    groups: dict[str, set[str]] = {}
    for reading in found:
        for form in reading.formats:
            groups.setdefault(_skeleton(form), set()).add(form)
    dropped: set[str] = set()
    for forms in groups.values():
        if len(forms) > 1 and time_format is None:
            using = [(*log, reading) for log, reading in zip(logs, found, strict=True) if forms & {*reading.formats}]
            dropped |= forms - _decided(connection, using, sorted(forms))
    return [
        TimeReading(each.parts, tuple(form for form in each.formats if form not in dropped), each.given, each.dates)
        for each in found
    ]


def _skeleton(form: str) -> str:
    """A format without what tells day, month and year apart."""
    return re.sub("%[dmy]", "%?", form) if "%m" in form else form


def _first_look(source: Source, scan: Scan, time_format: str | None) -> TimeReading:
    """A reading with all forms in which the first times may be written."""
    if "time" not in scan.has:
        return TimeReading()
    rows = (record.values["time"] for record in islice(scan.records(source.path), MAX_ROWS) if record.values)
    values = list(islice((value for value in rows if not is_missing(value.strip(PARTED))), SAMPLE))
    parts = parts_of([normalised(name) for name in scan.time_columns], values)
    if time_format is not None:
        return TimeReading(parts, (time_format,), given=True, dates=True)
    texts = [parts.text(value) for value in values]
    forms = Counter(form for text in texts for form in formats_of(text))
    readable = (text for text in texts if time_forms.is_time(text))
    return TimeReading(parts, tuple(form for form, _ in forms.most_common()), dates=_is_date(next(readable, "0")))


def _is_date(text: str) -> bool:
    return not value_parsing.is_number(text)


def _decided(connection: Any, files: Sequence[tuple[Source, Scan, TimeReading]], forms: list[str]) -> set[str]:
    """Those of several forms in which the dates of a column are written: one, unless none reads what another does."""
    counts, differing, readable = Counter[str](), 0, 0
    for source, scan, reading in files:
        text = tidied_sql(reading.parts.text_sql("time"))
        times = [f"c{at}" for at in range(len(forms))]
        columns = ", ".join(
            f"{time_forms.read_sql(text, form)} AS {time}" for form, time in zip(forms, times, strict=True)
        )
        with duckdb_session.reading(source.name):
            row = connection.execute(
                f"SELECT count(coalesce({', '.join(times)})), count(*) FILTER (least({', '.join(times)}) <> "
                f"greatest({', '.join(times)})), {', '.join(f'count({time})' for time in times)} "
                f"FROM (SELECT {columns} FROM ({scan.query(source.path)}))"
            ).fetchone()
        duckdb_session.rejected(connection)
        readable, differing = readable + row[0], differing + row[1]
        counts.update(dict(zip(forms, row[2:], strict=True)))
    if not differing:
        return {*forms}
    (best, most), (other, second) = counts.most_common(2)
    if most >= (1 - CONTRADICTED) * readable and most > second:
        return {best}
    problem = f"holds dates where {_ambiguity([form for form in forms if counts[form] == most])}"
    if most < (1 - CONTRADICTED) * readable:
        problem = (
            f"is written in two ways: of {readable:,} dates {most:,} can be {best}, {second:,} {other}; say with "
            "--time-format which it is, and leave the others out with --on-error skip"
        )
    raise InputError(problem, file=files[0][0].name, field="time")
