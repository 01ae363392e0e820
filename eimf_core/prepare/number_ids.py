"""What ids are called: 119 for the 119.0 of a table of floats, a hash for a user; 7.65E+16 has lost its digits."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from eimf_core.progress import Reporter

WHOLE = r"-?[0-9]+\.0+"
FRACTION = r"-?[0-9]*\.[0-9]*[1-9][0-9]*"
SHORTENED = r"-?[0-9](\.[0-9]+)?[eE]\+[0-9]+"
HASH_DIGITS = 32
FORMS = (WHOLE, FRACTION, SHORTENED)
_WHOLE = re.compile(WHOLE)


def whole(name: str) -> str:
    """An id such as 119.0 as 119; others as they are."""
    return name.partition(".")[0] if name.endswith("0") and _WHOLE.fullmatch(name) else name


def hashed(name: str) -> str:
    """The hash that stands in place of a user's id: the first 32 digits of its SHA-256."""
    return hashlib.sha256(name.encode()).hexdigest()[:HASH_DIGITS]


def hashed_sql(name: str) -> str:
    """The same as SQL."""
    return f"left(sha256({name}), {HASH_DIGITS})"


def name_sql(connection: Any, field: str, reporter: Reporter) -> str:
    """SQL for the name of an `id` in DuckDB's table of the distinct ids of a field.

    Where no id has a fraction, 119.0 is 119. Ids that have lost digits stay as they are, and are warned of.
    """
    of_form = [f"FILTER (regexp_full_match(id, '{form}'))" for form in FORMS]
    counts = ", ".join(f"count(*) {each}, min(id) {each}" for each in of_form)
    floats, example, fractions, _, shortened, lost = connection.execute(f"SELECT {counts} FROM {field}s").fetchone()
    if shortened:
        reporter.warn(
            f"{shortened:,} {field} ids are numbers such as {lost}, which have lost their last digits: {field}s that "
            "differ may have become one; export the column as text"
        )
    if not floats or fractions:
        return "id"
    reporter.note(f"{field} ids such as {example} are taken as {whole(example)}")
    return f"CASE WHEN regexp_full_match(id, '{WHOLE}') THEN split_part(id, '.', 1) ELSE id END"
