"""A prepared directory that comes through a pipe: Item and Sequence lines on stdin, in any order.

cat data/items.jsonl data/sequences.jsonl | eimf cluster - -o samples.jsonl
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson

from eimf_core.errors import InputError
from eimf_core.io import files, jsonl


@contextlib.contextmanager
def directory(path: Path) -> Iterator[Path]:
    """The directory itself; for "-" one with the lines of stdin, gone when the block ends.

    Raises:
        InputError: for a line that is no object with `user` or `item`.
    """
    if str(path) != "-":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="eimf-") as folder:
        made = Path(folder) / "data"
        made.mkdir()
        with open(made / "items.jsonl", "wb") as items, open(made / "sequences.jsonl", "wb") as sequences:
            for number, line in jsonl.numbered_lines(sys.stdin.buffer, "-"):
                if line.strip():
                    (items if _is_item(line, number) else sequences).write(line.rstrip(b"\n") + b"\n")
        with files.shown_as(made, "-"):
            yield made


def _is_item(line: bytes, number: int) -> bool:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(jsonl.not_json(error), file="-", line=number) from None
    if isinstance(fields, dict) and ("user" in fields or "item" in fields):
        return "user" not in fields
    raise InputError("expected an Item (with 'item') or a Sequence (with 'user')", file="-", line=number)
