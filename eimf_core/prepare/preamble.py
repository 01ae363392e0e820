"""Lines before the rows of a table that are no rows: `sep=;`, comments, the title of an export."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from eimf_core.prepare.header import delimiter_of, names_columns, split_line
from eimf_core.prepare.log_files import Source

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
HEADERS = (("user", "item"), ("item", "title"))
"""The fields that tell the header of a log and that of an item table."""
REMARK = ("# ", "##", "#!", "#\t", "% ", "//")
COMMENT = ("#", *REMARK)
"""How comments start; the first may be the start of an id as well."""
MAX_LINES = 20
"""Lines among which a header is looked for."""


def skip(source: Source) -> Source:
    """The source behind the lines before its rows.

    A header that is written as a comment is one. A line that is not plainly a preamble stays.
    """
    if source.parquet or source.first.startswith(("{", "[")):
        return source
    separator = SEPARATOR_LINE.fullmatch(source.first)
    if separator and len(source.head) > 1:
        source = _from(dataclasses.replace(source, separator=source.separator or separator[1]), 1)
    comments = next((at for at, line in enumerate(source.head) if not line.startswith(COMMENT)), 0)
    if comments:
        return _behind_comments(source, comments)
    return _behind_title(source)


def _behind_comments(source: Source, count: int) -> Source:
    """Behind so many comments, unless they are rows as those that follow."""
    behind = _from(source, count)
    if behind.first.startswith(("{", "[")):
        return behind
    last = source.head[count - 1].lstrip("#%/").strip()
    delimiter = delimiter_of(behind)
    cells = split_line(behind.first, delimiter)
    if len(split_line(last, delimiter)) != len(cells):
        return behind
    if _is_header(split_line(last, delimiter)):
        header = _from(source, count - 1)
        return dataclasses.replace(header, head=(last, *header.head[1:]))
    # ids may start with #, and have no blank behind it
    remarks = all(line.startswith(REMARK) for line in source.head[:count])
    return behind if remarks or len(cells) == 1 or _is_header(cells) else source


def _behind_title(source: Source) -> Source:
    """Behind lines that are followed by a header, where the first is none."""
    if _is_header(_cells(source, source.first)):
        return source
    for at, line in enumerate(source.head[1:MAX_LINES], start=1):
        behind = _from(source, at)
        cells = _cells(behind, line)
        if _is_header(cells) and _width(source.head[at + 1 :], delimiter_of(behind)) == len(cells):
            return behind
    return source


def _is_header(cells: Sequence[str]) -> bool:
    return any(names_columns(cells, fields) for fields in HEADERS)


def _cells(source: Source, line: str) -> list[str]:
    return split_line(line, delimiter_of(source))


def _width(lines: Sequence[str], delimiter: str) -> int:
    """Into how many cells the next row falls."""
    return len(split_line(lines[0], delimiter)) if lines else 0


def _from(source: Source, at: int) -> Source:
    """The source from the line of its head with this number on."""
    return dataclasses.replace(source, head=source.head[at:], at=source.at[at:])
