"""Times that stand in several columns: parts of a date that are put together, and what orders equal times.

A scan gives the columns of a time as one text, parted by `PARTED`. Which of them are a date and a clock, or a
year, a month and a day, is told by names and first values; what is neither orders equal times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from eimf_core.io.sql_text import literal
from eimf_core.prepare.value_parsing import BLANKS, BLANKS_SQL, is_missing

PARTED = "\x1f"
PARTED_SQL = "chr(31)"
CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?( ?[AaPp][Mm])?")
_NAMES = {
    "year": ("year", "yr", "yyyy"), "month": ("month", "mon", "mm"), "day": ("day", "dd", "dayofmonth"),
    "hour": ("hour", "hr", "hh"), "minute": ("minute", "min", "mi"), "second": ("second", "sec", "ss"),
    "hourmin": ("hourmin", "hhmm"),
}  # fmt: skip
WIDTHS = {"year": 4, "month": 2, "day": 2, "hour": 2, "minute": 2, "second": 2, "hourmin": 4}
"""Digits of the parts that are numbers; 249 of `hourmin` is 02:49."""
_NUMBER = r"\.0+$"
_MIDNIGHT = r"[ T]00:00:00(\.0+)?$"


def role_of(name: str) -> str | None:
    """What part of a time a column is by its normalised name; None for a name that says nothing of it."""
    return next((role for role, names in _NAMES.items() if name in names), None)


@dataclass(frozen=True)
class Parts:
    """What each column of a time is: date, clock, a part of `WIDTHS`, or tie for what orders equal times."""

    roles: tuple[str, ...] = ("date",)

    @property
    def ties(self) -> list[int]:
        """The positions of what orders equal times."""
        return [at for at, role in enumerate(self.roles) if role == "tie"]

    @staticmethod
    def cell_sql(field: str, at: int) -> str:
        """SQL for one of the columns."""
        return f"trim(split_part({field}, {PARTED_SQL}, {at + 1}), {BLANKS_SQL})"

    def text(self, value: str) -> str:
        """The text of the time itself."""
        if len(self.roles) == 1:
            return value
        cells: dict[str, str] = {}
        for role, cell in zip(self.roles, value.split(PARTED), strict=True):
            plain = cell.strip(BLANKS)
            if role in WIDTHS:
                plain = re.sub(_NUMBER, "", plain).rjust(WIDTHS[role], "0")
            cells[role] = re.sub(_MIDNIGHT, "", plain) if role == "date" else plain
        return "".join(cells.get(piece, piece) for piece in self._pieces())

    def text_sql(self, field: str) -> str:
        """The same as SQL."""
        if len(self.roles) == 1:
            return field
        cells = {}
        for at, role in enumerate(self.roles):
            plain = self.cell_sql(field, at)
            if role in WIDTHS:
                # lpad would cut what is longer
                plain = f"regexp_replace({plain}, '{_NUMBER}', '')"
                plain = f"concat(repeat('0', {WIDTHS[role]} - length({plain})), {plain})"
            cells[role] = f"regexp_replace({plain}, '{_MIDNIGHT}', '')" if role == "date" else plain
        return f"concat({', '.join(cells.get(piece, literal(piece)) for piece in self._pieces())})"

    def _pieces(self) -> list[str]:
        """Roles and what stands between them, in the order of a time."""
        if "year" in self.roles:
            day = [("-", role if role in self.roles else "01") for role in ("month", "day")]
            pieces = ["year", *(piece for pair in day for piece in pair)]
        else:
            pieces = ["date"]
        if "clock" in self.roles or "hourmin" in self.roles:
            return [*pieces, " ", "clock" if "clock" in self.roles else "hourmin"]
        if "hour" not in self.roles:
            return pieces
        clock = [(":", role if role in self.roles else "00") for role in ("minute", "second")]
        return [*pieces, " ", "hour", *(piece for pair in clock for piece in pair)]


def parts_of(names: Sequence[str], values: Sequence[str]) -> Parts:
    """What the columns of a time are.

    Args:
        names: their normalised names.
        values: first values, as a scan gives them.
    """
    if len(names) < 2:
        return Parts()
    cells = list(zip(*(value.split(PARTED) for value in values), strict=True)) or [()] * len(names)
    roles = [
        role_of(name) or ("clock" if _is_clock(column) else "tie") for name, column in zip(names, cells, strict=True)
    ]
    if "year" not in roles:
        date = next((at for at, role in enumerate(roles) if role in ("tie", "year", "month", "day")), 0)
        roles = ["date" if at == date else "tie" if role in ("month", "day") else role for at, role in enumerate(roles)]
    return Parts(tuple(role if role not in roles[:at] else "tie" for at, role in enumerate(roles)))


def _is_clock(cells: Sequence[str]) -> bool:
    """Whether what is there of a column's values are times of the day."""
    there = [cell.strip(BLANKS) for cell in cells if not is_missing(cell)]
    return bool(there) and all(map(CLOCK.fullmatch, there))
