"""A form of log that is a function: from the text of a line to the fields of its interaction. A plug-in may be one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import ConfigError
from eimf_core.prepare import log_files
from eimf_core.prepare.columns import FIELDS
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import JsonLines

ReadsLine = Callable[[str], Mapping[str, Any]]
NO_LINE = (ValueError, LookupError, TypeError, AttributeError)
"""What a function may raise of a line that is none of its own."""


def of_function(name: str, read: ReadsLine) -> LogFormat:
    """The format of text files of which a function reads each line.

    Args:
        name: what `--format` calls it.
        read: gives the fields of a line by their names in `FIELDS`, and raises one of `NO_LINE` where it is none.
    """

    def scan(source: Source, config: PrepareConfig) -> JsonLines:
        given = next(filter(None, (_read(read, line) for line in source.head)), {"user": "", "item": ""})
        if unknown := [field for field in given if field not in FIELDS]:
            raise ConfigError(f"--format {name}: gives the field '{unknown[0]}'; fields are {', '.join(FIELDS)}")
        return JsonLines({field: field for field in FIELDS if field in given})

    def convert(files: Sequence[Source], scratch: Path, rejects: Rejects) -> Path:
        """Write a JSON line for each line, at its line of the first file."""
        target, written = scratch / "interactions", 0
        with open(target, "wb") as stream:
            for source in files:
                for number, line in log_files.lines(source.path, before=source.before):
                    fields = _read(read, line)
                    if fields is None:
                        rejects.add(source.name, number, f"is no line of the format {name}", line)
                        continue
                    stream.write(b"\n" * (number - written - 1) + orjson.dumps(dict(fields), default=str) + b"\n")
                    written = max(written + 1, number)
        return target

    return LogFormat(name, "lines that a function reads", matches=lambda source: True, scan=scan, convert=convert)


def _read(read: ReadsLine, line: str) -> Mapping[str, Any] | None:
    try:
        return read(line)
    except NO_LINE:
        return None
