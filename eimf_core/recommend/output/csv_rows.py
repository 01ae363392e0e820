"""Rows of recommendations as CSV: a header, quotes where they are needed, nothing for what is not known."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from eimf_core.recommend.output import json_rows
from eimf_core.recommend.output.result_rows import Rows

HEADER = (",".join(Rows._fields) + "\n").encode()
write_part = json_rows.write_part


def encode(rows: Rows) -> bytes:
    """The lines of some rows.

    Args:
        rows: the columns.

    Returns:
        CSV in UTF-8, without a header.
    """
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(zip(*rows, strict=True))
    return made.getvalue().encode()


def join(parts: Sequence[Path], output: Path) -> None:
    """Put parts one behind the other under a header."""
    json_rows.join(parts, output, before=HEADER)
