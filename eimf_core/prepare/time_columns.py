"""Which columns are the time: named, or recognised by name and first values; and which columns look like one unused."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from itertools import islice

from eimf_core.errors import InputError
from eimf_core.io.sql_text import file, name
from eimf_core.prepare.columns import FIELDS, KNOWN_NAMES, column_called, normalised, shortened_names
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.duckdb_session import library, reading
from eimf_core.prepare.formats.base import object_of
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.order_status import kind_of
from eimf_core.prepare.scans import Delimited, JsonLines, Parquet, Scan
from eimf_core.prepare.time_forms import is_time
from eimf_core.prepare.time_parts import CLOCK, role_of
from eimf_core.prepare.value_parsing import BLANKS, is_missing, parse_number

ROWS, MAX_NAMED = 100, 5
"""First rows whose values are looked at, and columns that a message names."""
DATED = 1e8
"""From here on a number may be a time since 1970."""
FIRST, LAST = 631152000, 4102444800
"""Seconds of 1990 and 2100, between which numbers look like times."""
SCALES = (1, 1e3, 1e6, 1e9)
_ORDER_WORD = re.compile(r"(^|[_\W])(seq(uence)?|position|pos|step|index|idx|rank|order|nr|no)([_\W]|$)|number$")
"""What a column that orders a session or an order may be called."""
_TIME_WORD = re.compile(r"time|date(?!d)|(^|[_\W])(at|ts|dt)$|[a-z]At$")

Values = Mapping[str, Sequence[str]]


def with_times(source: Source, scan: Scan, config: PrepareConfig) -> tuple[Scan, Values]:
    """The scan of a table with its columns of the time.

    Args:
        source: the table.
        scan: how it is read.
        config: the settings, which may name columns.

    Returns:
        The scan, and the first values of the columns that it does not use.

    Raises:
        InputError: for a named column that is not there.
    """
    if not isinstance(scan, Delimited | JsonLines | Parquet):
        return scan, {}
    values = first_values(source, scan)
    if config.time_column:
        further = []
        for named in config.time_column[1:]:
            column = column_called([*values], named)
            if column is None:
                there = shortened_names([*values])
                raise InputError(f"has no column '{named}'; there are {there}", file=source.name, line=1)
            further.append(column)
        times = (*scan.time_columns, *further)
    else:
        taken = {column for field, column in scan.fields.items() if field != "time"}
        times = recognised([column for column in values if column not in taken], values)
    if times:
        in_order = {**scan.fields, "time": times[0]}
        fields = {field: in_order[field] for field in FIELDS if field in in_order}
        scan = dataclasses.replace(scan, fields=fields, also=tuple(times[1:]))
    return scan, _unused(scan, values)


def unused_values(source: Source, scan: Delimited) -> Values:
    """The first values of the columns that a table does not use.

    Args:
        source: the table.
        scan: how it is read.

    Returns:
        By column, the texts of its first rows.
    """
    return _unused(scan, first_values(source, scan))


def _unused(scan: Delimited | JsonLines | Parquet, values: Values) -> Values:
    used = {*scan.fields.values(), *scan.also}
    return {column: texts for column, texts in values.items() if column not in used}


def first_values(source: Source, scan: Delimited | JsonLines | Parquet) -> dict[str, list[str]]:
    """The values of all columns in the first rows, by column; those that are missing are left out."""
    if isinstance(scan, Parquet):
        with reading(source.name), library().connect() as connection:
            rows = connection.execute(f"SELECT * FROM read_parquet({file(source.path)}) LIMIT 0").description
            columns = [row[0] for row in rows]
            texts = ", ".join(f"{name(column)}::VARCHAR" for column in columns)
            found = connection.execute(f"SELECT {texts} FROM read_parquet({file(source.path)}) LIMIT {ROWS}").fetchall()
        table = {column: [row[at] or "" for row in found] for at, column in enumerate(columns)}
    else:
        if isinstance(scan, Delimited):
            columns = [*scan.columns]
        else:
            columns = list(dict.fromkeys(key for line in source.head[:ROWS] for key in object_of(line)))
        whole = dataclasses.replace(scan, fields={column: column for column in columns}, also=())
        if isinstance(whole, Delimited):
            whole = dataclasses.replace(whole, instead=())
        rows = [record.values for record in islice(whole.records(source.path), ROWS) if record.values]
        table = {column: [row[column] for row in rows] for column in columns}
    return {column: [text for text in texts if not is_missing(text)] for column, texts in table.items()}


def recognised(columns: Sequence[str], values: Values) -> tuple[str, ...]:
    """The columns of the time among others: the finest of those whose names say so, and the clock of a date.

    Args:
        columns: the names, in file order.
        values: their first values.
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(normalised(column), column)
    known = [by_name[known] for known in KNOWN_NAMES["time"] if known in by_name]
    best = max(known, key=lambda column: time_resolution(values[column]), default=None)
    if best is not None and time_resolution(values[best]) > 1:
        return (best,)
    parts = {role: column for column in columns if (role := role_of(normalised(column)))}
    if (
        best is not None
        and "day" in parts
        and time_resolution(values[best]) == time_resolution(values[parts["day"]]) == 0
    ):
        # days that are counted, and a number of the time of the day
        return (parts["day"], best)
    if best is None or time_resolution(values[best]) < 0:
        day = [parts[role] for role in ("year", "month", "day") if role in parts]
        if len(day) < 3:
            return () if best is None else (best,)
    else:
        day = [best]
    clocks = [column for column in columns if column not in day and _are_clocks(values[column])]
    if len(clocks) == 1:
        return (*day, clocks[0])
    clock = [parts[role] for role in ("hour", "minute", "second") if role in parts]
    return (*day, *([parts["hourmin"]] if "hourmin" in parts else clock if "hour" in parts else []))


def time_resolution(texts: Sequence[str]) -> float:
    """How fine times are told: below 0 what is none, 0 counting numbers, 1 days, 2 seconds, then fractions of them."""
    numbers = [parse_number(text) for text in texts]
    if not texts or not all(map(is_time, texts[:5])):
        return -1
    if any(number is None for number in numbers):
        return 2 + 0.1 * any("." in text or "," in text for text in texts) if any(":" in text for text in texts) else 1
    sizes = [abs(number) for number in numbers if number]
    if not sizes or max(sizes) < DATED:
        days = all(19000101 <= size < 22000101 for size in sizes) and bool(sizes)
        return 1 if days else 0
    return 2 + 0.1 * sum(max(sizes) / FIRST >= scale for scale in SCALES)


def _are_clocks(texts: Sequence[str]) -> bool:
    return bool(texts) and all(CLOCK.fullmatch(text.strip(BLANKS)) for text in texts)


def looks_like_time(column: str, texts: Sequence[str]) -> bool:
    """Whether the name or the values of a column make it worth a thought as the time."""
    if _TIME_WORD.search(column) or _TIME_WORD.search(column.lower()) or _are_clocks(texts):
        return True
    if not texts or not all(map(is_time, texts)):
        return False
    numbers = [number for text in texts if (number := parse_number(text)) is not None]
    return all(any(FIRST <= number / scale < LAST for scale in SCALES) for number in numbers)


def likely_columns(unused: Values) -> list[str]:
    """The unused columns that look like times, a few of them; when an order was cancelled is none of its own."""
    likely = (column for column, texts in unused.items() if looks_like_time(column, texts) and not kind_of(column))
    return [*islice(likely, MAX_NAMED)]


def likely_ties(unused: Values) -> list[str]:
    """The unused columns that may order what has the same time: those that look like times, and counting numbers.

    Args:
        unused: columns with their first values.

    Returns:
        Names of columns.
    """
    counting = [
        column
        for column, texts in unused.items()
        if _ORDER_WORD.search(column.lower()) and texts and all(parse_number(text) is not None for text in texts)
    ]
    return list(dict.fromkeys([*likely_columns(unused), *counting]))[:MAX_NAMED]


def likely(unused: Values) -> str:
    """The end of an advice to name the column of the time among unused ones.

    Args:
        unused: columns with their first values.

    Returns:
        Words such as " with --time-column, such as …".
    """
    if found := likely_columns(unused):
        return f" with --time-column, such as --time-column '{found[0]}'" + (
            f" ({', '.join(found)} look like times)" if len(found) > 1 else ""
        )
    names = ", ".join([*unused][:MAX_NAMED]) + (" …" if len(unused) > MAX_NAMED else "")
    return f" with --time-column (unused: {names})"
