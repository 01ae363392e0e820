"""What is asked: Query lines as they come.

All lines that are there are taken at once, and a line alone when it comes alone.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from eimf_core.errors import InputError
from eimf_core.io import files, jsonl

CHUNK = 1 << 18
"""Bytes taken at once."""
NumberedLines = list[tuple[int, bytes]]


def available_lines(
    path: str | Path, most: int, *, what: str = "Query", may_be_empty: bool = False
) -> Iterator[NumberedLines]:
    """The lines of a file as they come, without waiting for more than one.

    Empty lines are left out, and the mark of UTF-8 that some programs put first.

    Args:
        path: the file, "-" for stdin.
        most: lines that are given together.
        what: the record on a line, for errors.
        may_be_empty: whether a file without any line is none.

    Yields:
        Lines with their numbers, from 1.

    Raises:
        ConfigError: for a path that cannot be opened.
        InputError: for a broken gzip stream, UTF-16, or a file without any line.
    """
    number, found = 0, False
    with files.open_bytes(path) as stream:
        for chunk in _chunks(stream, path):
            lines = []
            for line in chunk:
                number += 1
                if number == 1:
                    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                        raise InputError("is UTF-16, expected UTF-8; write it so", file=path)
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    lines.append((number, line))
            for start in range(0, len(lines), most):
                found = True
                yield lines[start : start + most]
    if not found and not may_be_empty:
        raise InputError(f"is empty; expected one {what} a line", file=path)


def _chunks(stream: IO[bytes], path: str | Path) -> Iterator[list[bytes]]:
    """Whole lines of what one read gives; a last line may lack its end."""
    # stdin without its buffer: a thread that hangs in a buffered read cannot be ended with the process
    source: Any = stream.raw if str(path) == "-" and hasattr(stream, "raw") else stream
    take: Any = getattr(source, "read1", source.read)
    # a long line comes in many pieces, joined once at its end
    pieces: list[bytes] = []
    number = held = 0
    try:
        while taken := take(CHUNK):
            first, *lines = taken.split(b"\n")
            pieces.append(first)
            held += len(first)
            if held > jsonl.LONGEST_LINE:
                raise jsonl.too_long(path, number + 1)
            if lines:
                yield [b"".join(pieces), *lines[:-1]]
                pieces, held = [lines[-1]], len(lines[-1])
                number += len(lines)
    except files.BROKEN_GZIP as error:
        raise files.broken_gzip(path, error) from None
    if rest := b"".join(pieces):
        yield [rest]
