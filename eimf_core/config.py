"""Configuration dataclasses: a default, its help, its bounds and its choices are written once, beside the step."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from eimf_core.errors import ConfigError, did_you_mean

GROUPS = ("usual", "data", "model", "labels", "optimisation", "machine")
MAX_THREADS = 1024
"""Threads that a setting may ask for: with far more, torch and DuckDB crash or hang."""


def setting(
    default: Any, help: str, *flags: str, group: str = "usual", low: float | None = None, high: float | None = None,
    above: float | None = None, below: float | None = None, advanced: bool = False, config_only: bool = False,
    metavar: str | None = None, known: tuple[str, ...] | Callable[[], Iterable[str]] = (), ids: bool = False,
) -> Any:  # fmt: skip
    """A field of a configuration dataclass.

    Args:
        default: the value when nothing is given.
        help: one sentence for `--help`.
        flags: further names of the option, such as "-k".
        group: the heading of `--help` that it stands under, one of `GROUPS`.
        low, high, above, below: bounds of numbers, the first two included and the last two not.
        advanced: shown by `--help-all` alone.
        config_only: no option at all, only a key of a `--config` file.
        metavar: what stands for the value in the help.
        known: values that the help lists and the shell completes, where no `Literal` can: others are allowed as
            well, or a registry says which there are. A function, where they take time to tell or the help names them
            itself: the shell completes them, and the help lists none.
        ids: a list of ids, which the command line takes with commas between.

    Returns:
        A dataclass field. Choices are not told here: the type `Literal["a", "b"]` of the field says them.
    """
    assert group in GROUPS, group
    metadata = {
        "help": help, "flags": flags, "group": group, "low": low, "high": high, "above": above, "below": below,
        "advanced": advanced, "config_only": config_only, "known": known, "ids": ids,
    }  # fmt: skip
    if metavar is not None:
        metadata["metavar"] = metavar
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check(settings: Any) -> None:
    """Hold every setting against its choices and bounds.

    Args:
        settings: an instance of a dataclass made of `setting` fields.

    Raises:
        ConfigError: for the first value that is out of bounds or no choice; None is always allowed where the
            type says so.
    """
    hints = _hints(settings.__class__)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None:
                _check_one(option_name(field), each, choices(hints[field.name]), field.metadata)


def option_name(field: dataclasses.Field[Any] | str) -> str:
    """How a setting is written on the command line: `--batch-size`, or the key of `--config` where it has no option."""
    name = field if isinstance(field, str) else field.name
    if not isinstance(field, str) and field.metadata.get("config_only"):
        return f"{name} (in --config)"
    return f"--{name.replace('_', '-')}"


def as_options(settings: Any) -> list[str]:
    """The words of the command line that give settings their values, those of defaults left out.

    Args:
        settings: an instance of a dataclass made of `setting` fields.
    """
    words: list[str] = []
    defaults = settings.__class__()
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value == getattr(defaults, field.name) or field.metadata.get("config_only"):
            continue
        flag = option_name(field)
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag.removeprefix('--')}")
        else:
            words += [word for each in (value if isinstance(value, list) else [value]) for word in (flag, str(each))]
    return words


def setting_error(name: str, problem: str) -> ConfigError:
    """The error of a setting: its option and what is wrong with it."""
    return ConfigError(f"{option_name(name)} {problem}")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def choices(hint: Any) -> tuple[Any, ...]:
    """The values of a `Literal`, also inside `list[…]` or beside None; empty where anything goes."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (list, Union, types.UnionType):
        return tuple(choice for part in get_args(hint) for choice in choices(part))
    return ()


def _check_one(name: str, value: Any, allowed: tuple[Any, ...], bounds: Any) -> None:
    if allowed:
        if value not in allowed:
            raise ConfigError(f"{name} {no_choice(value, allowed)}")
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    low, high, above, below = (bounds.get(bound) for bound in ("low", "high", "above", "below"))
    fits = (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
        and abs(value) != float("inf")
        and value == value
    )
    if not fits:
        raise ConfigError(f"{name} is {value}, expected {_range(low, high, above, below)}")


def no_choice(value: Any, known: Sequence[Any], also: str = "", verb: str = "is") -> str:
    """What is wrong with a value that is none of its choices.

    Args:
        value: as it was given.
        known: the choices.
        also: what stands behind them, from the comma on.
        verb: "has" where the value is one of several.

    Returns:
        The end of a message: "is 'x', expected a, b or c; did you mean b?".
    """
    return f"{verb} '{value}', expected {listed(known)}{also}{did_you_mean(str(value), map(str, known))}"


def listed(choices: Sequence[Any]) -> str:
    """Choices as words: "a, b or c"."""
    words = [str(choice) for choice in choices]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _range(low: Any, high: Any, above: Any, below: Any) -> str:
    start = f"{low}" if low is not None else f"above {above}" if above is not None else None
    end = f"{high}" if high is not None else f"below {below}" if below is not None else None
    if start is None and end is None:
        return "a finite number"
    if end is None:
        return f"{start} or more" if low is not None else f"a number {start}"
    if start is None:
        return f"at most {end}" if high is not None else f"a number {end}"
    return f"a number from {start} to {end}" if low is not None else f"a number {start}, up to {end}"
