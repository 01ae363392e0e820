"""Lines that are nearly JSON, turned into it: dictionaries as Python writes them, and the extended JSON of MongoDB."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from eimf_core.prepare import log_files

LITERAL = re.compile(r"\{\s*u?['\"]")
"""How a line starts that holds a dictionary of Python."""
_LONG = re.compile(r"(?<=[ :,\[(])(\d+)L\b")
"""A long number as Python 2 wrote it."""
EXTENDED = re.compile(r'\{\s*"\$(oid|date|numberLong|numberInt|numberDouble|numberDecimal)"\s*:')
"""A value of MongoDB whose type is written beside it."""
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "$numberLong": int, "$numberInt": int, "$numberDouble": float, "$numberDecimal": float,
}  # fmt: skip

Convert = Callable[[str], Any]
"""From a line to what it holds; None for a line that is of another kind."""


def convert_of(start: bytes, whole: bool) -> Convert | None:
    """What turns the lines of a file into JSON; None for a file that needs none.

    Args:
        start: its first bytes.
        whole: whether they hold the first line to its end.
    """
    line = log_files.decoded(start).lstrip().partition("\n")[0]
    if line.startswith("{") and EXTENDED.search(line):
        return _plain_line
    if not LITERAL.match(line):
        return None
    # of a line that is longer than what is looked at the start has to do
    if not (whole or "\n" in log_files.decoded(start).lstrip()):
        return _literal if line.startswith(("{'", "{u'", '{u"')) else None
    return _literal if not _is_json(line) and _literal(line) is not None else None


def as_json(path: Path, target: Path, convert: Convert) -> Path:
    """A copy as JSON lines; a line of another kind stays as it is, in its place, to be refused by its number.

    Args:
        path: lines in another form than JSON.
        target: of the copy.
        convert: from a line to plain data, None for a line that it cannot read.

    Returns:
        `target`.
    """
    with open(target, "wb") as copy:
        for line in _numbered_as_in_file(log_files.lines(path, latin=False)):
            found = convert(line) if line else None
            with contextlib.suppress(TypeError, UnicodeEncodeError):
                if found is not None:
                    line = orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS, default=list).decode()
            copy.write(line.encode("utf-8", "surrogateescape") + b"\n")
    return target


def _is_json(line: str) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _literal(line: str) -> dict[Any, Any] | None:
    """The dictionary of Python on a line."""
    for text in (line.strip(), _LONG.sub(r"\1", line.strip())):
        with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            found = ast.literal_eval(text)
            return found if isinstance(found, dict) else None
    return None


def _plain_line(line: str) -> Any:
    """The object on a line without the types of MongoDB; None where there is none to take away."""
    if '"$' not in line:
        return None
    try:
        return _plain(orjson.loads(line))
    except (orjson.JSONDecodeError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    """A value without its type beside it; times are ISO dates."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        return {key: _plain(inner) for key, inner in value.items()}
    ((key, inner),) = value.items()
    inner = _plain(inner)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        if key in NUMBERS:
            return NUMBERS[key](inner)
        if key == "$date" and not isinstance(inner, str):
            return datetime.fromtimestamp(inner / 1000, UTC).isoformat()
    return inner if key in ("$oid", "$date") else {key: inner}


def _numbered_as_in_file(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    """The lines with blank ones where there were some."""
    last = 0
    for number, line in lines:
        yield from ("" for _ in range(number - last - 1))
        yield line
        last = number
