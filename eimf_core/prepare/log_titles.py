"""A column of titles in the log itself, used where no item table gives any and each item has one title."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from eimf_core.prepare.columns import FIELDS, KNOWN_NAMES, normalised
from eimf_core.prepare.scans import Delimited, JsonLines, Parquet, Scan

NAMES = tuple(name for name in KNOWN_NAMES["title"] if name not in ("name", "artist", "song", "movie", "headline"))
"""Names of columns of titles: in a log a name may as well be that of the user."""
MOST_VARIED = 0.2
"""The share of items that come again with another title from which on a column is none of titles."""


def with_title(scan: Scan, columns: Iterable[str]) -> Scan:
    """The scan with the one of its unused columns whose name says that it holds titles, if there is one."""
    by_name = {normalised(column): column for column in columns}
    found = next((by_name[name] for name in NAMES if name in by_name), None)
    if found is None or "title" in scan.has or not isinstance(scan, Delimited | JsonLines | Parquet):
        return scan
    fields = {**scan.fields, "title": found}
    ordered = {field: fields[field] for field in FIELDS if field in fields}
    return dataclasses.replace(scan, fields=ordered, guessed_title=True)


def are_titles(rows: Iterable[tuple[Any, ...]]) -> bool:
    """Whether a column that was not named holds titles of the items, not of reviews.

    Args:
        rows: of each item the least and the greatest title, and how many rows have one.
    """
    again = [least == greatest for least, greatest, count in rows if count > 1]
    return again.count(False) <= MOST_VARIED * len(again)
