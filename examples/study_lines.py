"""The lines of the study: read with the place of what is wrong, appended whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

Line = dict[str, Any]


def read_lines(path: Path) -> list[Line]:
    """The lines that are there; ends the program at one that is no JSON object."""
    lines = []
    for number, told in enumerate(path.read_bytes().splitlines() if path.exists() else [], start=1):
        try:
            line = orjson.loads(told or b"{}")
        except orjson.JSONDecodeError as error:
            raise SystemExit(f"{path}:{number}: not JSON ({error}); remove the line") from None
        if not isinstance(line, dict):
            raise SystemExit(f"{path}:{number}: expected an object; remove the line")
        if line:
            lines.append(line)
    return lines


def append_line(path: Path, line: Line) -> None:
    """Add a line, even where the last one was left without its end."""
    with path.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, 2)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
        stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
