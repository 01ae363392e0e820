"""How dates are written beside ISO: a text to the formats of strptime that read it, and a format as SQL and in Python.

DuckDB and Python know the same formats. What a text leaves open is not guessed: 01/02/2012 has two formats.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from eimf_core.prepare.duckdb_session import literal
from eimf_core.prepare.value_parsing import BLANKS, BLANKS_SQL, parse_time

_CLOCK = re.compile(
    r"(?<![0-9])([0-9]{1,2}):[0-9]{2}(:[0-9]{2}(?:([.,])[0-9]{1,6})?)?( ?)([AaPp][Mm]\b)?"
    r"( ?[-+][0-9]{2}:?[0-9]{2})?(?![:0-9])"
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_WORDS = frozenset({"t", "z", "utc", "gmt", "at"})
"""Words that may stand in a date and mean UTC, or nothing."""
_TOKEN = re.compile(r"[0-9]+|[A-Za-z]+|%[^%]|[^0-9A-Za-z]")
_UNTIDY = r"([0-9])(st|nd|rd|th)\b|\b(Sep)t\b"
_TIDY = re.compile(_UNTIDY)
_SHORT = 2
_LONG_YEAR, _LONG_DATE, _LONG_CLOCK, _SHORT_CLOCK = 4, 8, 6, 4


def tidied(text: str) -> str:
    """A text without blanks around it; 19th is 19, and Sept is Sep, which strptime knows."""
    return _TIDY.sub(r"\1\3", text.strip(BLANKS))


def tidied_sql(field: str) -> str:
    """The same as SQL."""
    trimmed = f"trim({field}, {BLANKS_SQL})"
    replaced = f"regexp_replace({trimmed}, '{_UNTIDY}', '\\1\\3')"
    return f"CASE WHEN regexp_matches({trimmed}, '{_UNTIDY}') THEN {replaced} ELSE {trimmed} END"


def read_sql(field: str, format: str) -> str:
    """SQL for a time in seconds; null for a text that is not of the format."""
    return f"epoch(try_strptime({field}, {literal(format)}))"


def read(text: str, format: str) -> float | None:
    """The same in Python."""
    try:
        found = datetime.strptime(text, format)
    except (ValueError, re.error):
        # a directive that stands twice is an error of the pattern
        return None
    return (found.replace(tzinfo=found.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def is_time(text: str) -> bool:
    """Whether a text can be read as a time, perhaps in more ways than one."""
    return parse_time(text) is not None or bool(formats_of(text))


def formats_of(text: str) -> tuple[str, ...]:
    """The formats of strptime that a date may be written in; several where day and month cannot be told apart.

    Numbers, ISO dates and times of the day have none.
    """
    text = tidied(text)
    if parse_time(text) is not None:
        return ()
    tokens: list[str] = []
    numbers: list[int] = []
    month = None
    for token in _TOKEN.findall(_with_clock_format(" ".join(text.split()).replace("%", "%%"))):
        if token.isdigit():
            numbers.append(len(tokens))
        elif token.isalpha():
            named = _named(token)
            if named is None:
                return ()
            month = named if named in ("%b", "%B") else month
            token = named
        tokens.append(token)
    found = []
    for directives in _readings([tokens[at] for at in numbers], month is not None, "-" in tokens):
        for at, directive in zip(numbers, directives, strict=True):
            tokens[at] = directive
        if read(text, format := "".join(tokens)) is not None:
            found.append(format)
    return tuple(found)


def order_of(format: str) -> str:
    """The order of year, month and day in a format, such as "dmY"."""
    return "".join(re.findall("%([dmyYbB])", format))


def _with_clock_format(text: str) -> str:
    """A date with directives for its last time of the day and the zone behind it."""
    clock = next(reversed([*_CLOCK.finditer(text)]), None)
    if clock is None:
        return text
    _, second, point, gap, half, zone = clock.groups()
    seconds = f":%S{f'{point}%f' if point else ''}" if second else ""
    hours = f"%I:%M{seconds}{gap}%p" if half else f"%H:%M{seconds}{gap}"
    offset = f"{' ' if zone[0] == ' ' else ''}%z" if zone else ""
    return text[: clock.start()] + hours + offset + text[clock.end() :]


def _named(word: str) -> str | None:
    """The directive of a name of a month or of a day of the week; a word that means nothing as it is."""
    lower = word.lower()
    for names, short, full in ((_MONTHS, "%b", "%B"), (_WEEKDAYS, "%a", "%A")):
        if lower in (name[:3] for name in names):
            return short
        if lower in names:
            return full
    return word if lower in _WORDS else None


def _readings(numbers: list[str], month: bool, dashes: bool) -> list[tuple[str, ...]]:
    """What the numbers of a date that are not of its clock may be, in their order."""
    lengths = [len(number) for number in numbers]
    if not month and lengths[:1] == [_LONG_DATE]:
        clock = {(): (), (_LONG_CLOCK,): ("%H%M%S",), (_SHORT_CLOCK,): ("%H%M",), (_SHORT,): ("%H",)}
        rest = clock.get(tuple(lengths[1:]))
        return [] if rest is None else [("%Y%m%d", *rest)]
    if [length for length in lengths if length > _SHORT] not in ([], [_LONG_YEAR]):
        return []
    long = _LONG_YEAR in lengths
    year = "%Y" if long else "%y"
    if month and len(numbers) == _SHORT:
        return [(year, "%d")] if lengths[0] == _LONG_YEAR else [("%d", year)]
    if month or len(numbers) != _SHORT + 1 or lengths[1] == _LONG_YEAR:
        return []
    if lengths[0] == _LONG_YEAR:
        return [(year, "%m", "%d")]
    last: list[tuple[str, ...]] = [("%d", "%m", year), ("%m", "%d", year)]
    return last if long or not dashes else [*last, (year, "%m", "%d")]
