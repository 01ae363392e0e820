"""A column of titles in the log itself, used where no item table gives any and each item has one title."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from eimf_core.prepare.columns import FIELDS, KNOWN_NAMES, normalised
from eimf_core.prepare.scans import Delimited, JsonLines, Parquet, Scan
from eimf_core.prepare.time_columns import Values

NAMES = tuple(name for name in KNOWN_NAMES["title"] if name not in ("name", "artist", "song", "movie", "headline"))
"""Names of columns of titles: in a log a name may as well be that of the user."""
BARE = ("item", "product", "artikel", "produkt", "produit", "producto")
"""Names of columns that are titles where ids stand in another column, and these are words."""
MAX_VARIED = 0.2
"""The share of items that come again with another title from which on a column is none of titles."""


def with_title(scan: Scan, columns: Values) -> Scan:
    """The scan with the one of its unused columns whose name says that it holds titles, if there is one.

    Args:
        scan: of a log.
        columns: those that no field has, with their first values.

    Returns:
        Another scan, or the same.
    """
    by_name = {normalised(column): column for column in columns}
    words = (by_name[name] for name in BARE if name in by_name and _are_words(columns[by_name[name]]))
    found = next((by_name[name] for name in NAMES if name in by_name), None) or next(words, None)
    if found is None or "title" in scan.has or not isinstance(scan, Delimited | JsonLines | Parquet):
        return scan
    fields = {**scan.fields, "title": found}
    ordered = {field: fields[field] for field in FIELDS if field in fields}
    return dataclasses.replace(scan, fields=ordered, guessed_title=True)


def _are_words(texts: Sequence[str]) -> bool:
    """Whether most of some values have letters and no digit."""
    return 2 * sum(any(map(str.isalpha, text)) and not any(map(str.isdigit, text)) for text in texts) > len(texts)


def are_titles(rows: Iterable[tuple[Any, ...]]) -> bool:
    """Whether a column that was not named holds titles of the items, not of reviews.

    Args:
        rows: of each item the least and the greatest title, and how many rows have one.
    """
    again = [least == greatest for least, greatest, count in rows if count > 1]
    return again.count(False) <= MAX_VARIED * len(again)
