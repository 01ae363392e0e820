"""Hyper-parameters of one backbone: a dataclass beside its module, read from `[train.hyperparameters]` of a
`--config` file. No torch here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

from eimf_core.config import check, setting
from eimf_core.errors import ConfigError

hyperparameter = functools.partial(setting, config_only=True)
"""A field of such a dataclass: default, help and bounds, as in `eimf_core.config.setting`."""


@dataclass(frozen=True)
class Hyperparameters:
    """What a backbone has of its own; here nothing. Fields are made by `hyperparameter`.

    Raises:
        ConfigError: for a value that is out of bounds or no choice.
    """

    def __post_init__(self) -> None:
        check(self)

    def check_dimension(self, dimension: int) -> None:
        """Raise ConfigError where vectors of width `dimension` do not fit."""


SAID = "hyperparameters (in --config):"
WORDS = {bool: "true or false", int: "a whole number", float: "a number"}
Kind = TypeVar("Kind", bound=Hyperparameters)


def described(kind: type[Hyperparameters], backbone: str) -> str:
    """Which hyper-parameters a backbone has, for messages."""
    return f"{backbone} has {', '.join(field.name for field in fields(kind)) or 'none'}"


def read(kind: type[Kind], given: Mapping[str, Any], backbone: str) -> Kind:
    """The hyper-parameters of a backbone from the values of a configuration file.

    Args:
        kind: the dataclass of the backbone.
        given: values by name; what is missing has its default.
        backbone: the name of the backbone, for messages.

    Returns:
        An object of that dataclass.

    Raises:
        ConfigError: for a name that the backbone does not have, and for a value of another type or out of bounds.
    """
    hints, names = get_type_hints(kind), [field.name for field in fields(kind)]
    there = described(kind, backbone)
    values = {}
    for name, value in given.items():
        if name not in names:
            raise ConfigError(f"{SAID} '{name}' is unknown; {there}")
        expected = hints[name]
        if expected is float and type(value) is int:
            value = float(value)
        if expected in WORDS and type(value) is not expected:
            raise ConfigError(f"{SAID} {name} is {value!r}, expected {WORDS[expected]}; {there}")
        values[name] = value
    return kind(**values)
