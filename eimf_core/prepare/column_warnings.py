"""What is said of columns that are not used: those that may order a log, and those that may be titles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from eimf_core.prepare import time_columns
from eimf_core.prepare.formats.base import ItemFile
from eimf_core.prepare.item_catalogue import Catalogue
from eimf_core.prepare.log_loading import Scans, Unused
from eimf_core.prepare.time_forms import is_time
from eimf_core.prepare.value_parsing import is_number

TIES = 0.05
"""Share of interactions with the time of the one before from which on something should order them."""
UNTITLED = 0.5
"""Share of the items without text from which on it is a warning."""
_TITLE_WORD = re.compile("title|name|headline|label|caption|desc|product|movie|book|song|track|artist|game|article")
_NO_TITLE_WORD = re.compile(
    "user|customer|first|last|file|brand|author|host|city|country|state|event|categor|(^|[_ ])id$|Id$"
)


def time_warnings(scans: Scans, unused: Unused, equal_times: float | None) -> list[str]:
    """What is said where the order of the lines stands for the time, or orders much that has the same.

    Args:
        scans: how each log file is read.
        unused: the columns that no field has, with their first values.
        equal_times: share of interactions with the time of the user's one before; None without times.

    Returns:
        The warnings, none or one a file.
    """
    columns = {source.name: values for source, values in unused}
    found = []
    for source, scan in scans:
        values = columns.get(source.name)
        if values is None:
            continue
        if "time" not in scan.has:
            named = f"; if it is another, name it{time_columns.likely(values)}" if values else ""
            found.append(
                f"{source.name}: no column is recognised as the time, so the order of the lines is taken for it{named}"
            )
            continue
        finer = time_columns.likely_ties(values)
        if finer and equal_times is not None and equal_times >= TIES:
            options = " ".join(f"--time-column '{column}'" for column in (*scan.time_columns, finer[0]))
            found.append(
                f"{source.name}: {equal_times:.1%} of the interactions have the time of the one before and are taken "
                f"in the order of the lines; if {' or '.join(finer)} orders them, say {options}"
            )
    return found


def title_warnings(catalogue: Catalogue, files: Iterable[ItemFile], unused: Unused) -> list[str]:
    """The warning where most items have no text, with a column that looks like a title.

    Args:
        catalogue: the items with their text.
        files: the item tables.
        unused: the columns of the log that no field has.

    Returns:
        One warning, or none.
    """
    lacking, items = len(catalogue.without_text), len(catalogue.items)
    if lacking <= UNTITLED * items:
        return []
    tables = [(file.source.name, "--items-title-column", _by_name(file.columns, file.fields)) for file in files]
    logs = [(source.name, "--title-column", _by_value(values)) for source, values in unused]
    found = next(((name, option, column) for name, option, column in [*tables, *logs] if column), None)
    way = "give it with --items"
    if found:
        name, option, column = found
        way = f"the column '{column}' of {name} looks like a title: say {option} '{column}', or give it with --items"
    return [f"{lacking:,} of {items:,} items have no text; {way}"]


def _by_name(columns: Sequence[str], fields: dict[str, str]) -> str | None:
    """A column of an item table without a title whose name may be that of one."""
    free = [] if "title" in fields else [column for column in columns if column not in fields.values()]
    return next(filter(_may_be_title, free), None)


def _may_be_title(column: str) -> bool:
    return bool(_TITLE_WORD.search(column.lower())) and not _NO_TITLE_WORD.search(column.lower())


def _by_value(unused: time_columns.Values) -> str | None:
    """An unused column of a log whose values are words; one with a name like a title first."""
    words = {
        column: texts
        for column, texts in unused.items()
        if texts and not any(is_number(text) or is_time(text) for text in texts) and not column.lower().endswith("id")
    }
    named = next(filter(_may_be_title, words), None)
    spoken = (column for column, texts in words.items() if 2 * sum(" " in text.strip() for text in texts) > len(texts))
    return named or next(spoken, None)
