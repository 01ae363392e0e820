"""The fields of a log and of an item table, and which column is which: recognised by name or named in the settings.

A further field is a name in `FIELDS` (or `ITEM_FIELDS`), the names its column goes by in `KNOWN_NAMES`, a setting
`FIELD_column` in `PrepareConfig` and, where the work on the log needs it, a line in `log_reader.COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Sequence

from eimf_core.errors import InputError
from eimf_core.prepare.config import PrepareConfig

FIELDS = ("user", "item", "time", "rating", "event", "title", "category")
ITEM_FIELDS = ("item", "title", "category", "text")
TEXT_FIELDS = frozenset({"title", "category"})
"""Item text in a log: read only where its column is named, since it usually has a file of its own."""
COLUMN_OPTIONS = tuple(f"{field}_column" for field in FIELDS if field not in TEXT_FIELDS)
KNOWN_NAMES = {
    "user": (
        "user", "userid", "uid", "customer", "customerid", "visitor", "visitorid", "reviewerid", "memberid",
        "client", "clientid", "buyer", "buyerid", "account", "accountid",
    ),
    "item": (
        "item", "itemid", "iid", "product", "productid", "parentasin", "asin", "movieid", "articleid", "businessid",
        "bookid", "trackid", "songid", "newsid", "videoid", "sku",
    ),
    "time": ("time", "timestamp", "ts", "date", "datetime", "unixreviewtime", "eventtime", "createdat", "unixtime"),
    "rating": ("rating", "stars", "score", "overall"),
    "event": ("event", "eventtype", "behavior", "behaviour", "behaviortype"),
    "title": ("title", "name", "itemtitle", "itemname", "productname", "producttitle", "movietitle"),
    "category": ("categories", "category", "genres", "genre", "maincategory", "categoryname", "class"),
    "text": ("text", "description"),
}  # fmt: skip
"""Normalised names by which columns are recognised; the first that is there counts."""


def normalised(column: str) -> str:
    """A column's name as `KNOWN_NAMES` has it: lower case without blanks, - and _, and without RecBole's type."""
    return "".join(char for char in column.partition(":")[0].lower() if char not in " _-")


def recognised_column(columns: Sequence[str], field: str) -> str | None:
    """The column whose name says that it is this field."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(normalised(column), column)
    return next((by_name[known] for known in KNOWN_NAMES[field] if known in by_name), None)


def named_column(config: PrepareConfig, field: str) -> str | None:
    """The column that the settings name for a field."""
    column: str | None = getattr(config, f"{field}_column", None)
    return column


def log_columns(columns: Sequence[str], config: PrepareConfig, file: str, advice: str = "") -> dict[str, str]:
    """Which column of a log is which field.

    Args:
        columns: the names of the columns, in file order.
        config: the settings, which may name columns.
        file: how errors call the file.
        advice: what else may help where no column is the user's or the item's.

    Raises:
        InputError: for a named column that is not there, and where there is none for user or item.
    """
    found = {}
    for field in FIELDS:
        named = named_column(config, field)
        if field in TEXT_FIELDS:
            # a named column that is not here may be the item file's: `check_text_columns` looks at both
            column = named if named in columns else None
        elif named is not None and named not in columns:
            raise InputError(f"has no column '{named}'; there are {', '.join(columns)}", file=file, line=1)
        else:
            column = named or recognised_column(columns, field)
        if column is not None:
            found[field] = column
        elif field in ("user", "item"):
            raise InputError(
                f"no column is recognised as the {field} among {', '.join(columns)}; name it with --{field}-column "
                f"(by number where there is no header){advice}",
                file=file,
                line=1,
            )
    return found


def item_columns(columns: Sequence[str], config: PrepareConfig, file: str) -> dict[str, str]:
    """Which column of an item table is which field; a named one that is not here may be the log's.

    Raises:
        InputError: where there is none for the item.
    """
    found = {}
    for field in ITEM_FIELDS:
        named = named_column(config, field)
        column = named if named in columns else recognised_column(columns, field)
        if column is not None:
            found[field] = column
    if "item" not in found:
        raise InputError(
            f"no column is recognised as the item among {', '.join(columns)}; name it with --item-column", file=file
        )
    return found
