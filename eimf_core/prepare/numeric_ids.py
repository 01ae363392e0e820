"""What ids are called: 119 for the 119.0 of a table of floats, a hash for a user; 7.65E+16 has lost its digits,
Ann@x.org and ann@x.org may be one user."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from eimf_core.progress import Reporter

WHOLE = r"-?[0-9]+\.0+"
FRACTION = r"-?[0-9]*\.[0-9]*[1-9][0-9]*"
SPELT_OUT = r"-?[0-9]\.[0-9]+E([7-9]|1[0-5])"
"""A number of 8 to 16 digits as Java and Spark write it, with all its digits."""
SHORTENED = r"-?[0-9]([.,][0-9]+)?[eE]\+[0-9]+|-?[0-9][.,][0-9]+[eE](1[6-9]|[2-9][0-9])"
HASH_DIGITS = 32
_WHOLE = re.compile(WHOLE)
_SPELT_OUT = re.compile(SPELT_OUT)


def whole(name: str) -> str:
    """An id such as 119.0 as 119, 1.23E7 as 12300000; others as they are."""
    if "E" in name and _SPELT_OUT.fullmatch(name) and float(name) % 1 == 0:
        return str(int(float(name)))
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

    Args:
        connection: to DuckDB.
        field: user or item.
        reporter: is warned.

    Returns:
        An SQL expression of the column `id`; "id" where nothing changes.
    """
    spelt_out = f"regexp_full_match(id, '{SPELT_OUT}')"
    whole_number = "try_cast(id AS DOUBLE) % 1 = 0"
    forms = (
        f"regexp_full_match(id, '{WHOLE}') OR ({spelt_out} AND {whole_number})",
        f"regexp_full_match(id, '{FRACTION}') OR ({spelt_out} AND NOT {whole_number})",
        f"regexp_full_match(id, '{SHORTENED}')",
    )
    of_form = [f"FILTER ({form})" for form in forms]
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
    return (
        f"CASE WHEN regexp_full_match(id, '{WHOLE}') THEN split_part(id, '.', 1) "
        f"WHEN {spelt_out} THEN id::DOUBLE::BIGINT::VARCHAR ELSE id END"
    )


def warn_of_case(connection: Any, reporter: Reporter, *, hidden: bool) -> None:
    """Warn of e-mail addresses in DuckDB's table of users that differ in upper and lower case alone.

    Args:
        connection: to DuckDB.
        reporter: is warned.
        hidden: whether users' ids are to be seen nowhere.
    """
    # most logs have none in upper case, and are not grouped
    mixed = "SELECT lower(id) FROM users WHERE contains(id, '@') AND id <> lower(id)"
    alike = f"SELECT min(id), max(id) FROM users WHERE lower(id) IN ({mixed}) GROUP BY lower(id) HAVING count(*) > 1"
    found = f"SELECT count(*), min(first), min_by(last, first) FROM ({alike}) AS alike(first, last)"
    addresses, first, last = connection.execute(found).fetchone()
    if addresses:
        such = "" if hidden else f", such as {first} and {last}"
        are = "address is" if addresses == 1 else "addresses are"
        reporter.warn(
            f"{addresses:,} e-mail {are} written in ways that differ in upper and lower case alone{such}; each way "
            "counts as a user of its own: write them alike in the log if they are one"
        )
