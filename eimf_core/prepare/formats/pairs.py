"""`user item` a line in time order, as SASRec reads; no times."""

from __future__ import annotations

from eimf_core.prepare.columns import log_columns
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.header import is_header, names_user_or_item, unclear_header
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import Delimited, UserLines

COLUMNS = ("user", "item")


def _words(source: Source) -> list[list[str]]:
    return [line.split() for line in source.head]


def _is_pairs(source: Source) -> bool:
    """Two words a line; where no user comes twice, one line a user means the same."""
    return all(len(row) == 2 and not set('{}[]",;:') & set("".join(row)) for row in _words(source))


def _pairs(source: Source, config: PrepareConfig) -> Delimited | UserLines:
    """User and item, unless a header names them in another order."""
    delimiter = "\t" if "\t" in source.head[0] else " "
    words = _words(source)
    if config.header != "no" and names_user_or_item(words[0]):
        fields = log_columns(words[0], config, source.name, line=source.before + 1)
        return Delimited(delimiter, tuple(words[0]), fields, True, "", source.before, source.first)
    header = {"yes": True, "no": False}.get(config.header)
    if header is None and (is_header(words, {"user": 0, "item": 1}) is not False) and len(words) > 1:
        # a header whose names are not known, or ids that look like one
        raise unclear_header(source)
    if not header and any(line.count(delimiter) != 1 for line in source.head):
        # columns that are lined up with blanks
        return UserLines(width=len(COLUMNS), before=source.before)
    return Delimited(delimiter, COLUMNS, dict(zip(COLUMNS, COLUMNS, strict=True)), bool(header), "", source.before)


LOGS = (
    LogFormat(
        "pairs",
        "`user item` a line in time order, as SASRec reads; no times",
        _is_pairs,
        _pairs,
        published=("ml-1m.txt",),
        item_files=("sas_mapping/sas_to_original_items.txt",),
        options=("header",),
    ),
)
