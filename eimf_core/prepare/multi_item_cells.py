"""Items that are lists of items: a cell such as A;B of a table that has an order, not an item, a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from eimf_core.errors import InputError
from eimf_core.prepare.raw_text import one_line
from eimf_core.text_cleaning import shortened_at_word

LOOKED_AT = 2000
"""Ids that tell it."""
MAX_LIST_SHARE, LONGEST = 0.5, 60
"""The share of ids that have to be lists; characters of one that a message shows."""
SEPARATORS = ";|,"
_LIST = re.compile(r"\[.*\]", re.DOTALL)
_THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3})+")
WAY = "write one interaction a row, such as with explode of pandas"


def refuse_lists(ids: Sequence[str], file: str) -> None:
    """InputError where most ids are lists as Python and JSON write them."""
    known = [*islice(ids, LOOKED_AT)]
    lists = [name for name in known if _LIST.fullmatch(name)]
    if len(lists) > MAX_LIST_SHARE * len(known):
        raise InputError(f"holds lists such as {_shown(lists[0])}; {WAY}", file=file, field="item")


def warning(ids: Sequence[str], file: str) -> str:
    """What is said where most ids hold a separator, and what it parts comes again in others; empty for others."""
    known = [*islice(ids, LOOKED_AT)]
    for separator in SEPARATORS:
        several = [name for name in known if separator in name.strip(separator)]
        if len(several) <= MAX_LIST_SHARE * len(known):
            continue
        if all(map(_THOUSANDS.fullmatch, several)):
            continue
        parts = [part.strip() for name in several for part in name.split(separator)]
        # a name, not an id
        if any(" " in part or not part for part in parts):
            continue
        if 2 * len({*parts}) <= len(parts):
            return (
                f"{file}: items such as {_shown(several[0])} look like several items with '{separator}' between them, "
                f"and are taken for one; {WAY}"
            )
    return ""


def _shown(name: str) -> str:
    return shortened_at_word(one_line(name), LONGEST)
