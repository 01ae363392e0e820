"""Words in dates: names of months and of days of the week, and of time zones.

Source: for the zones of North America RFC 2822, section 4.3.
"""

from __future__ import annotations

import re
from functools import lru_cache

ENGLISH = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    # German, French, Spanish, Italian, Portuguese, Dutch, whole and shortened, where they are not as in English
    "januar jänner jan janvier janv enero ene gennaio gen janeiro januari",
    "februar feb février févr fév febrero febbraio fevereiro fev februari",
    "märz mär mrz mars marzo mar março maart mrt",
    "avril avr abril abr aprile april apr",
    "mai mayo maggio mag maio mei",
    "juni jun juin junio giugno giu junho",
    "juli jul juillet juil julio luglio lug julho",
    "aug août agosto ago augustus",
    "sep sept septembre septiembre settembre set setembro",
    "oktober okt octobre oct octubre ottobre ott outubro out",
    "nov novembre noviembre novembro",
    "dezember dez décembre déc diciembre dic dicembre dezembro",
)
MONTHS = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
HOUR = 3600
ZONES = {
    "UTC": 0, "GMT": 0, "Z": 0, "UT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8,
    "PDT": -7, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9,
    "KST": 9, "NZST": 12, "NZDT": 13, "AEST": 10, "AEDT": 11,
}  # fmt: skip
"""Hours ahead of UTC; names that several zones share, such as IST, are not there, but for those of North America."""
_DIRECTIVE = re.compile("%.")
_WORD = re.compile(r"[A-Z][A-Za-z]+/[A-Z][A-Za-z_/-]+|[^\W\d_]+")


def _words(format: str) -> list[str]:
    """The words that stand in a format of strptime as they are."""
    return _WORD.findall(_DIRECTIVE.sub("%", format))


@lru_cache(maxsize=256)
def is_zone(word: str) -> bool:
    """Whether a word names a time zone, by a short name or as Europe/Berlin."""
    if "/" not in word:
        return word in ZONES
    # a tenth of a second is saved where no date names a zone
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(word)
    except (OSError, ValueError, LookupError):
        return False
    return True


@lru_cache(maxsize=256)
def zone_in(format: str) -> str | int:
    """The zone that a format of strptime names: as Europe/Berlin, or seconds ahead of UTC."""
    zones = [word for word in _words(format) if is_zone(word)] if "%z" not in format else []
    if not zones:
        return 0
    return zones[0] if "/" in zones[0] else ZONES[zones[0]] * HOUR


@lru_cache(maxsize=256)
def month_in(format: str) -> tuple[str, int] | None:
    """The month that stands in a format by its name, and its number; None where there is none."""
    found = [word for word in _words(format) if word.lower() in MONTHS]
    return (found[0], MONTHS[found[0].lower()]) if found else None
