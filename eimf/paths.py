"""Arguments that are paths: what is none is told by the name of the argument."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError

AnyPath = str | PathLike[str]


def is_frame(value: Any) -> bool:
    """Whether a value is a frame of any library; none is imported, and no lazy one is computed."""
    return hasattr(type(value), "columns")


def path_of(given: AnyPath, name: str) -> Path:
    """An argument as a path; raises ConfigError, with the argument's name, for a value that is none."""
    try:
        made = Path(given)
        text = str(made).encode("utf-8", "surrogateescape")
    except TypeError:
        if is_frame(given):
            way = "eimf.prepare makes the directory" if name == "data" else "write it to a file first"
            raise ConfigError(f"{name} is a frame, expected a path; {way}") from None
        raise ConfigError(f"{name} is of type {type(given).__name__}, expected a path") from None
    except UnicodeEncodeError:
        text = b"\0"
    if b"\0" in text:
        raise ConfigError(f"{name} is {str(given)!r}, which no file can be called")
    return made


def path_if(given: AnyPath | None, name: str) -> Path | None:
    """The same of an argument that may be left out."""
    return None if given is None else path_of(given, name)
