"""A TOML file of settings, read as a whole."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError
from eimf_core.io import files, raw_files


def read(path: str | Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: it cannot be read, is longer than `raw_files.LONGEST_TEXT`, or is no TOML.
    """
    try:
        return tomllib.loads(raw_files.read_bounded(path).decode())
    except OSError as error:
        raise files.unreadable(path, error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        quotes = "; text stands in quotes" if "Invalid value" in str(error) else ""
        raise ConfigError(f"{path}: is not TOML ({error}){quotes}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply for a file of settings") from None
