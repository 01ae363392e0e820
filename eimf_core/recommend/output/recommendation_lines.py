"""Recommendation lines in a file, as they stand on stdout."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from eimf_core.io import files
from eimf_core.recommend.output.result_lines import ResultLines
from eimf_core.recommend.results import Results


def encode(results: Results, writer: ResultLines) -> bytes:
    """The lines of some answers.

    Args:
        results: as `Recommender.results` gives them.
        writer: of the model.

    Returns:
        JSON lines, in the order of the queries.
    """
    return b"".join(writer.in_order(results))


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
