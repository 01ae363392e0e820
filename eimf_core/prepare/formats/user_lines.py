"""`user item item …`: one line a user in time order; no times."""

from __future__ import annotations

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.header import is_header, names_user_or_item
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import one_line
from eimf_core.prepare.scans import UserLines
from eimf_core.text_cleaning import shortened_at_word


def _is_user_lines(source: Source) -> bool:
    rows = [line.split() for line in source.head]
    if names_user_or_item(rows[0]):
        return False
    bare = all(len(row) >= 2 and row[0][-1] != ":" and not set('{}[]",;|') & set("".join(row)) for row in rows)
    # as many tabs on each line part columns, some of which hold lists; one tab stands between a user and the items
    tabs = {line.count("\t") for line in source.head}
    if len(tabs) == 1 and max(tabs) > 1 and any(" " in line.strip() for line in source.head):
        return False
    # lines of one width may as well be the rows of a table without a header
    table = len({len(row) for row in rows}) == 1
    return bare and not table and len({row[0] for row in rows}) == len(rows)


def _user_lines(source: Source, config: PrepareConfig) -> UserLines:
    """A first line that looks like a header is an error: it would be a user."""
    if config.header == "yes":
        raise ConfigError("--header yes: a log of one line a user has none; take that line off")
    rows = [line.split() for line in source.head]
    if len(rows) > 1 and all(row[0] == str(len(row) - 1) for row in rows):
        raise InputError(
            "has lines that begin with how many items follow, and name no user; put an id before each, such as with "
            "nl -w1, or say --format pairs for lines of two words",
            file=source.name,
        )
    starts = [row[:2] for row in rows]
    header = is_header(starts, {"user": 0, "item": 1}) if config.header == "auto" else False
    if header or (header is None and not any(map(str.isdigit, source.first))):
        raise InputError(
            f"may be a header or prose ({shortened_at_word(one_line(source.first), 80)}); say --header no if it is "
            "what a user did, else take it off, or name the columns of a table with --user-column and --item-column",
            file=source.name,
            line=source.before + 1,
        )
    return UserLines(source.first if header is None else "", before=source.before)


LOGS = (
    LogFormat(
        "user-lines",
        "`user item item …`, one line a user in time order; no times",
        _is_user_lines,
        _user_lines,
        published=("sequences.tsv", "user_sequence.txt", "Yelp.txt"),
        item_files=("movies.dat", "products_lookup.csv", "Yelp.item.json"),
        options=("header",),
    ),
)
