"""Settings to try, from a TOML file: one value, several to choose from, or a range to draw from.

epochs = 20                                             # for all trials
dimension = [64, 128]                                   # each of these
learning_rate = { low = 1e-4, high = 1e-2, log = true } # drawn, with --trials
[sasrec]                                                # for one backbone alone
dropout = [0.1, 0.3]
[sasrec.hyperparameters]
heads = [1, 2]
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

import msgspec
import numpy as np

from eimf_core import renamed_settings
from eimf_core.errors import ConfigError, did_you_mean
from eimf_core.models import registry
from eimf_core.training.config import TrainConfig

MAX_COMBINATIONS = 1000
TAKEN = {"backbone": "--backbones", "seed": "--seeds", "max_minutes": "--max-minutes"}
"""Settings that options of `compare` say."""
Settings = dict[str, Any]
KeyPath = tuple[str, ...]
"""Where a setting stands: its key, behind that of the table that holds it."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; drawn evenly, or evenly in their logarithm."""

    low: float
    high: float
    log: bool

    def draw(self, rng: np.random.Generator) -> float:
        """One of them: a whole number where both ends are."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        # a whole number is as likely at the ends as between them
        low, high = (self.low - 0.5, self.high + 0.5) if whole else (self.low, self.high)
        value = math.exp(rng.uniform(math.log(low), math.log(high))) if self.log else rng.uniform(low, high)
        if whole:
            return int(min(max(round(value), self.low), self.high))
        return float(f"{value:.4g}")


def candidates(
    content: dict[str, Any], backbones: Sequence[str], *, trials: int | None, seed: int, file: object
) -> dict[str, list[Settings]]:
    """The settings to try for each backbone, all of them checked.

    Backbones that share a setting are tried with the same values of it.

    Args:
        content: of the file.
        backbones: those that are compared.
        trials: how many settings are drawn; None: all combinations.
        seed: of what is drawn.
        file: what messages name.

    Returns:
        By backbone, the settings that differ from the defaults, one dict a training.

    Raises:
        ConfigError: an unknown key, a value that does not fit, or a range without `trials`.
    """
    tables = {name: content[name] for name in backbones if isinstance(content.get(name), dict)}
    others = [key for key in content if key not in backbones and key in registry.BACKBONES]
    common = {key: value for key, value in content.items() if key not in tables and key not in others}
    made = {}
    for name in backbones:
        where = f"{file}: "
        wanted = _flattened({**common, **tables.get(name, {})}, where)
        made[name] = [_checked(_nested(values), name, where) for values in _values(wanted, trials, seed, where)]
    return made


def with_current_names(content: Any) -> Any:
    """The content of a file of ranges as it was stored, with the settings as they are called today.

    Args:
        content: of the file; what is no setting and has a table is a backbone, one of a plug-in or joined by + as well.
    """
    if not isinstance(content, dict):
        return content
    known = {field.name for field in fields(TrainConfig)}
    return {
        key: renamed_settings.with_current_names(value) if isinstance(value, dict) and key not in known else value
        for key, value in renamed_settings.with_current_names(content).items()
    }


def changed(settings: Settings) -> str:
    """Settings as words: "dimension=64 learning_rate=0.003"."""
    return " ".join(f"{'.'.join(path)}={value}" for path, value in _flattened(settings, "", plain=True).items())


def _flattened(content: dict[str, Any], where: str, *, plain: bool = False, above: KeyPath = ()) -> dict[KeyPath, Any]:
    """Values by their place; what stands in tables below `hyperparameters` lies deeper."""
    known = {field.name for field in fields(TrainConfig)}
    found: dict[KeyPath, Any] = {}
    for key, value in content.items():
        path = (*above, key)
        if not above and key in TAKEN:
            raise ConfigError(f"{where}{key} is said by {TAKEN[key]}; take it out of the file")
        if not above and key not in known:
            near = did_you_mean(key, known) or "; eimf train --help-all"
            raise ConfigError(where + (renamed_settings.hint(key) or f"unknown setting '{key}'{near}"))
        if isinstance(value, dict) and path[0] == "hyperparameters" and not {"low", "high"} <= value.keys():
            found |= _flattened(value, where, plain=plain, above=path)
        elif isinstance(value, dict) and not plain:
            found[path] = _range(value, f"{where}{'.'.join(path)}")
        else:
            found[path] = value
    return found


def _range(value: dict[str, Any], where: str) -> Range:
    low, high, log = value.get("low"), value.get("high"), value.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not numbers or set(value) - {"low", "high", "log"} or not isinstance(log, bool):
        raise ConfigError(f"{where}: a range is {{ low = NUMBER, high = NUMBER, log = true }}")
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high and (low > 0 or not log)):
        raise ConfigError(f"{where}: low must be at most high{', and above 0 with log' if log else ''}")
    return Range(low, high, log)


def _values(wanted: dict[KeyPath, Any], trials: int | None, seed: int, where: str) -> list[dict[KeyPath, Any]]:
    """One value for each key, as often as there are settings to try."""
    for path, value in wanted.items():
        if isinstance(value, Range) and trials is None:
            raise ConfigError(f"{where}{'.'.join(path)} is a range; say how many settings to draw: --trials N")
        if value == []:
            raise ConfigError(f"{where}{'.'.join(path)} is an empty list; give at least one value")
    choices = {path: value if isinstance(value, list) else [value] for path, value in wanted.items()}
    combinations = math.prod(len(values) for values in choices.values())
    if not any(isinstance(value, Range) for value in wanted.values()):
        if trials is None and combinations > MAX_COMBINATIONS:
            raise ConfigError(f"{where}{combinations:,} combinations; --trials N draws some of them")
        if trials is None or trials >= combinations:
            return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    assert trials is not None
    # a generator for each key, so that backbones that share a key get the same values of it
    drawn = {path: np.random.default_rng([seed, zlib.crc32(_original_path(path).encode())]) for path in choices}
    made: list[dict[KeyPath, Any]] = []
    for _ in range(50 * trials):
        one = {
            path: value.draw(drawn[path])
            if isinstance(value, Range)
            else choices[path][drawn[path].integers(len(choices[path]))]
            for path, value in wanted.items()
        }
        if one not in made:
            made.append(one)
        if len(made) == trials:
            break
    return made


def _original_path(path: KeyPath) -> str:
    """What draws depend on: a comparison of before resumes with the values that it drew."""
    return ".".join([renamed_settings.original_name(path[0]), *path[1:]])


def _nested(values: dict[KeyPath, Any]) -> Settings:
    made: Settings = {}
    for path, value in values.items():
        place = made
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return made


def _checked(settings: Settings, backbone: str, where: str) -> Settings:
    """Settings whose types and bounds fit; ConfigError names the file."""
    hints = get_type_hints(TrainConfig)
    for key, value in settings.items():
        try:
            settings[key] = msgspec.convert(value, hints[key])
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}{key} is {value}: {str(error)[0].lower()}{str(error)[1:]}") from None
    try:
        TrainConfig(**settings, backbone=backbone)
    except ConfigError as error:
        raise ConfigError(f"{where}{backbone}: {error}") from None
    return settings
