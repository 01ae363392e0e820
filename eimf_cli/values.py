"""Values of options and arguments: what was typed, or stands in the environment or in TOML, as its type.

typer reads every value with pydantic, even that of an option that is not given, and the import of pydantic takes
0.1 s of CPU time: as much as all that `eimf recommend` imports otherwise. What the commands take is simple
enough to be read here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError
from eimf_core.setting_values import read

CONFIG_FILE = "config_file"
"""Where a context's `meta` keeps the path of --config."""


class Reader:
    """What stands in for typer's reader of one parameter."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        """The value as its type; raises ConfigError, which names where it comes from."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        try:
            found = read(self.kind, value)
        except ValueError as error:
            raise ConfigError(f"{origin(param, ctx)} {error}") from None
        if isinstance(found, Path) and found.exists() and not os.access(found, os.R_OK):
            raise ConfigError(f"{origin(param, ctx)}: {found} may not be read (permission denied)")
        return found


def read_without_pydantic(parameters: Iterable[Any]) -> None:
    """Give typer's parameters a reader where they would ask for that of pydantic; a typer that asks otherwise reads."""
    for parameter in parameters:
        if hasattr(parameter, "type_descriptor"):
            parameter.get_runtime_param = partial(Reader, parameter.type_descriptor.annotation)


def origin(parameter: Any, context: Any) -> str:
    """How to name a value: the option, the environment variable, or the file of --config and its key."""
    name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.display_name_raw
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        return f"{context.auto_envvar_prefix}_{parameter.name.upper()}"
    in_file = source is not None and source.name == "DEFAULT_MAP"
    return f"{context.meta[CONFIG_FILE]}: {parameter.name}" if in_file else name
