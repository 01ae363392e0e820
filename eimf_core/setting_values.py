"""Values of settings: what was typed, stands in a configuration or is given from Python, as the type of the setting."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from numbers import Number
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from eimf_core import renamed_settings
from eimf_core.config import listed, no_choice
from eimf_core.errors import ConfigError, did_you_mean

MAX_WHOLE = 1 << 63
"""Numbers that do not fit 64 bits are mistakes."""
TRUE, FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off", "")
PLAIN = (str, int, float, Path, list, tuple, dict, type(None))
"""Types of values that a message shows."""
LONGEST_SHOWN = 200
KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
S = TypeVar("S")


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
        if not isinstance(value, PLAIN):
            raise _wrong(value, listed(list(choices)))
        if str(value) not in choices:
            raise ValueError(no_choice(value, list(choices)))
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
    # what Python gives may be of any type and size
    shown = f"'{str(value)[:LONGEST_SHOWN]}'" if isinstance(value, PLAIN) else f"a {type(value).__name__}"
    return ValueError(f"is {shown}, expected {expected}")


def _read_one(kind: Any, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).strip().lower() in TRUE + FALSE:
            return str(value).strip().lower() in TRUE
        raise ValueError
    if isinstance(value, bool | list | dict) or (kind is str and not isinstance(value, str | Number | PathLike)):
        raise TypeError
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError
    if (kind is Path and not str(value)) or (kind in (str, Path) and "\0" in str(value)):
        raise ValueError
    if isinstance(value, str):
        # the bytes of a command line that are no text
        value.encode()
    found = kind(value)
    if kind is int and not -MAX_WHOLE <= found < MAX_WHOLE:
        raise ValueError
    return found


def settings_of(kind: type[S], given: Mapping[str, Any]) -> S:
    """Settings from values by name, those that are not given with their defaults.

    Args:
        kind: a dataclass made of `config.setting` fields.
        given: values; None means the default.

    Raises:
        ConfigError: for an unknown name, with the nearest that there is, and a value that is none of its setting.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    read_values = {}
    for name, value in given.items():
        if name not in known:
            near = did_you_mean(name, known) or f"; there are {', '.join(sorted(known))}"
            raise ConfigError(renamed_settings.hint(name) or f"there is no setting '{name}'{near}")
        if value is not None:
            try:
                read_values[name] = read(hints[name], value)
            except ValueError as error:
                raise ConfigError(f"{name} {error}") from None
    return kind(**read_values)
