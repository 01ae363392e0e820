"""Values of options and arguments: what was typed, or stands in the environment or in TOML, as its type.

typer reads every value with pydantic, even that of an option that is not given, and the import of pydantic takes
0.1 s of CPU time: as much as all that `eimf recommend` imports otherwise. What the commands take is simple
enough to be read here.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from eimf_core.config import listed
from eimf_core.errors import ConfigError

CONFIG_FILE = "config_file"
"""Where a context's `meta` keeps the path of --config."""
MOST = 1 << 63
"""Numbers that do not fit 64 bits are mistakes."""
TRUE, FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off", "")
KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}


def read(kind: Any, value: Any) -> Any:
    """A value as its type.

    Args:
        kind: int, float, bool, str, Path, a `Literal`, a `dict`, a `list` of one of these, or one of these or None.
        value: text from the command line or the environment, or what TOML makes of it.

    Raises:
        ValueError: the value that is wrong, and what was expected in its place.
    """
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is list:
        (entry_kind,) = get_args(kind)
        return [read(entry_kind, entry) for entry in (value if isinstance(value, list | tuple) else [value])]
    if get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in get_args(kind)}
        if str(value) not in choices:
            raise _wrong(value, listed(list(choices)))
        return choices[str(value)]
    if kind is dict or get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise _wrong(value, "a table of keys and values")
        return value
    try:
        return _read_one(kind, value)
    except (ValueError, TypeError, OverflowError):
        raise _wrong(value, KINDS[kind]) from None


def _wrong(value: Any, expected: str) -> ValueError:
    return ValueError(f"is '{value}', expected {expected}")


def _read_one(kind: Any, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).strip().lower() in TRUE + FALSE:
            return str(value).strip().lower() in TRUE
        raise ValueError
    if isinstance(value, bool | list | dict):
        raise TypeError
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError
    if kind is Path and (not str(value) or "\0" in str(value)):
        raise ValueError
    if isinstance(value, str):
        # the bytes of a command line that are no text
        value.encode()
    found = kind(value)
    if kind is int and not -MOST <= found < MOST:
        raise ValueError
    return found


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
    """Give typer's parameters a reader, in the place where typer would put its own at the first value."""
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is not None and getattr(parameter, "_runtime_param", None) is None:
            parameter._runtime_param = Reader(descriptor.annotation)


def origin(parameter: Any, context: Any) -> str:
    """How to name a value: the option, the environment variable, or the file of --config and its key."""
    name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.display_name_raw
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        return f"{context.auto_envvar_prefix}_{parameter.name.upper()}"
    in_file = source is not None and source.name == "DEFAULT_MAP"
    return f"{context.meta[CONFIG_FILE]}: {parameter.name}" if in_file else name
