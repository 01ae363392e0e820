"""The files that answers for all users are written to, by their ending; a new form is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eimf_core.errors import ConfigError
from eimf_core.recommend.output import csv_rows, parquet_rows, recommendation_lines
from eimf_core.recommend.output.result_lines import ResultLines
from eimf_core.recommend.results import Results

Encode = Callable[[Results, ResultLines], Any]


class FileFormat(NamedTuple):
    """How answers become a file, in parts that are put together at the end.

    Attributes:
        encode: what can be done with some answers in a thread of its own.
        write_part: write what was encoded as one part.
        join: put parts together as one file.
    """

    encode: Encode
    write_part: Callable[[Path, Sequence[Any]], None]
    join: Callable[[Sequence[Path], Path], None]


FORMATS = {
    ".jsonl": FileFormat(recommendation_lines.encode, recommendation_lines.write_part, recommendation_lines.join),
    ".csv": FileFormat(csv_rows.encode, csv_rows.write_part, csv_rows.join),
    ".parquet": FileFormat(parquet_rows.encode, parquet_rows.write_part, parquet_rows.join),
}


def format_of(path: Path) -> FileFormat:
    """The form of a file; ConfigError for an ending that says none."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--output {path}: its ending says the form; give one of {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]
