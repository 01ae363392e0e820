"""Rows of recommendations as JSON lines; what is not known is left out of a line."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from eimf_core.io import files
from eimf_core.recommend.output.result_rows import Rows
from eimf_core.records import RecommendedRow


def encode(rows: Rows) -> bytes:
    """The lines of some rows.

    Args:
        rows: the columns.

    Returns:
        JSON lines.
    """
    names = Rows._fields
    records = [RecommendedRow(**dict(zip(names, row, strict=True))) for row in zip(*rows, strict=True)]
    return msgspec.json.Encoder().encode_lines(records)


def write_part(path: Path, encoded: Sequence[bytes]) -> None:
    """Write a part."""
    with files.atomic(path) as stream:
        stream.writelines(encoded)


def join(parts: Sequence[Path], output: Path, *, before: bytes = b"") -> None:
    """Put parts one behind the other.

    Args:
        parts: files, in order.
        output: the file to make, whole or not at all.
        before: what stands in front of them.
    """
    with files.atomic(output) as stream:
        stream.write(before)
        for part in parts:
            with open(part, "rb") as source:
                shutil.copyfileobj(source, stream)
