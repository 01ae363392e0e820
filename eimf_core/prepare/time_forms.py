"""How dates are written beside ISO: a text to the formats of strptime that read it, and a format as SQL and in Python.

DuckDB and Python know the same formats. What a text leaves open is not guessed: 01/02/2012 has two formats. A zone
stands in a format by its name, and a month of another language than English, as they stand in the text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from eimf_core.io.sql_text import literal
from eimf_core.prepare.time_words import ENGLISH, MONTHS, WEEKDAYS, is_zone, month_in, zone_in
from eimf_core.prepare.value_parsing import BLANKS, BLANKS_SQL, parse_time

_CLOCK = re.compile(
    r"(?<![0-9])([0-9]{1,2})([:.])[0-9]{2}(?P<second>\2[0-9]{2}(?:(?P<point>[.,])[0-9]{1,6})?)?(?P<gap> ?)"
    r"(?P<half>[AaPp][Mm]\b)?(?P<zone>(?P<before> ?(?:GMT|UTC)?)[-+][0-9]{2}:?[0-9]{2})?(?![:0-9])"
)
_WORDS = frozenset({
    "t", "z", "utc", "gmt", "at", "de", "um", "uhr", "à", "às", "kl", "年", "月", "日", "년", "월", "일",
})  # fmt: skip
"""Words that may stand in a date and mean UTC, or nothing."""
_TOKEN = re.compile(r"[0-9]+|[A-Z][A-Za-z]+/[A-Z][A-Za-z_/-]+|[^\W\d_]+|%[^%]|[\W_]")
_UNTIDY = r"([0-9])(st|nd|rd|th)\b|\b(Sep)t\b|\b([AaPp])\.([Mm])\.| \([A-Za-z ]+\)$"
_TIDY = re.compile(_UNTIDY)
_EARLIEST = 1000
"""The first year of four digits; DuckDB takes 12 for one as well."""
_SHORT = 2
_LONG_YEAR, _LONG_DATE, _LONG_CLOCK, _SHORT_CLOCK = 4, 8, 6, 4


def tidied(text: str) -> str:
    """A text without blanks around it, and without the zone in brackets at its end; 19th is 19, Sept Sep, p.m. pm."""
    return _TIDY.sub(r"\1\3\4\5", text.strip(BLANKS))


def tidied_sql(field: str) -> str:
    """The same as SQL."""
    trimmed = f"trim({field}, {BLANKS_SQL})"
    replaced = f"regexp_replace({trimmed}, '{_UNTIDY}', '\\1\\3\\4\\5', 'g')"
    return f"CASE WHEN regexp_matches({trimmed}, '{_UNTIDY}') THEN {replaced} ELSE {trimmed} END"


def read_sql(field: str, format: str) -> str:
    """SQL for a time in seconds; null for a text that is not of the format."""
    month, zone = month_in(format), zone_in(format)
    if month:
        field, format = f"replace({field}, {literal(month[0])}, '{month[1]}')", format.replace(month[0], "%m")
    read = f"try_strptime({field}, {literal(format)})"
    if "%Y" in format:
        read = f"CASE WHEN year({read}) >= {_EARLIEST} THEN {read} END"
    if isinstance(zone, str):
        return f"epoch(timezone({literal(zone)}, {read}))"
    return f"(epoch({read}) - ({zone}))" if zone else f"epoch({read})"


def read(text: str, format: str) -> float | None:
    """The same in Python."""
    month, zone = month_in(format), zone_in(format)
    if month:
        text, format = text.replace(month[0], str(month[1])), format.replace(month[0], "%m")
    try:
        found = datetime.strptime(text, format)
    except (ValueError, re.error):
        # a directive that stands twice is an error of the pattern
        return None
    if found.year < _EARLIEST and "%Y" in format:
        return None
    return (found.replace(tzinfo=found.tzinfo or _tzinfo(zone)) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def _tzinfo(zone: str | int) -> tzinfo:
    if isinstance(zone, int):
        return timezone(timedelta(seconds=zone))
    from zoneinfo import ZoneInfo

    return ZoneInfo(zone)


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
        elif token[0].isalpha():
            named = _named(token)
            if named is None:
                return ()
            month = named if named in ("%b", "%B") or named.lower() in MONTHS else month
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
    # 03.52 is one only where it is that of the morning or the afternoon
    clock = next((found for found in reversed([*_CLOCK.finditer(text)]) if found[2] == ":" or found["half"]), None)
    if clock is None:
        return text
    mark, half = clock[2], clock["half"]
    seconds = f"{mark}%S{clock['point']}%f" if clock["point"] else f"{mark}%S" if clock["second"] else ""
    hours = f"%I{mark}%M{seconds}{clock['gap']}%p" if half else f"%H{mark}%M{seconds}{clock['gap']}"
    offset = f"{clock['before']}%z" if clock["zone"] else ""
    return text[: clock.start()] + hours + offset + text[clock.end() :]


def _named(word: str) -> str | None:
    """The directive of an English name of a month or a day of the week; another word of dates as it is, else None."""
    lower = word.lower()
    for names, short, full in ((ENGLISH, "%b", "%B"), (WEEKDAYS, "%a", "%A")):
        if lower in (name[:3] for name in names):
            return short
        if lower in names:
            return full
    return word if lower in _WORDS or lower in MONTHS or is_zone(word) else None


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
    if month and lengths == [_LONG_YEAR]:
        return [(year,)]
    if month and len(numbers) == _SHORT:
        return [(year, "%d")] if lengths[0] == _LONG_YEAR else [("%d", year)]
    if not month and lengths[:1] == [_LONG_YEAR] and len(numbers) in (2, 4):
        # a month without a day, and a day with its hour
        return [(year, "%m", "%d", "%H")[: len(numbers)]]
    if month or len(numbers) != _SHORT + 1 or lengths[1] == _LONG_YEAR:
        return []
    if lengths[0] == _LONG_YEAR:
        return [(year, "%m", "%d")]
    last: list[tuple[str, ...]] = [("%d", "%m", year), ("%m", "%d", year)]
    return last if long or not dashes else [*last, (year, "%m", "%d")]
