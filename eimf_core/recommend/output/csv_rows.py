"""Rows of recommendations as CSV: a header, quotes where they are needed, nothing for what is not known."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from eimf_core.recommend.output import recommendation_lines
from eimf_core.recommend.output.result_lines import ResultLines
from eimf_core.recommend.output.result_rows import Rows, rows
from eimf_core.recommend.results import Results

HEADER = (",".join(Rows._fields) + "\n").encode()
write_part = recommendation_lines.write_part


def encode(results: Results, writer: ResultLines) -> bytes:
    """The rows of some answers.

    Args:
        results: as `Recommender.results` gives them.
        writer: knows the items of the model.

    Returns:
        CSV in UTF-8, without a header.
    """
    return lines(rows(results, writer.items))


def lines(table: Rows) -> bytes:
    """Rows as lines.

    Args:
        table: the columns.

    Returns:
        CSV in UTF-8, without a header.
    """
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(zip(*table, strict=True))
    return made.getvalue().encode()


def join(parts: Sequence[Path], output: Path) -> None:
    """Put parts one behind the other under a header."""
    recommendation_lines.join(parts, output, before=HEADER)
