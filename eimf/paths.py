"""Arguments that are paths: what is none is told by the name of the argument."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from eimf_core.errors import ConfigError

AnyPath = str | PathLike[str]


def path_of(given: AnyPath, name: str) -> Path:
    """An argument as a path; raises ConfigError, with the argument's name, for a value that is none."""
    try:
        made = Path(given)
        text = str(made).encode("utf-8", "surrogateescape")
    except TypeError:
        raise ConfigError(f"{name} is of type {type(given).__name__}, expected a path") from None
    except UnicodeEncodeError:
        text = b"\0"
    if b"\0" in text:
        raise ConfigError(f"{name} is {str(given)!r}, which no file can be called")
    return made


def path_if(given: AnyPath | None, name: str) -> Path | None:
    """The same of an argument that may be left out."""
    return None if given is None else path_of(given, name)
