"""The backbones by name. No torch here, so that a wrong name is told before anything heavy is loaded.

Names joined by + are the members of an ensemble (`training/ensemble.py`): each is a backbone that is trained by
itself. How a new backbone joins stands in `eimf_core/models/__init__.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from eimf_core import plugins
from eimf_core.config import no_choice, setting_error
from eimf_core.errors import ConfigError, ModelError
from eimf_core.models import hyperparameters
from eimf_core.models.hyperparameters import Hyperparameters
from eimf_core.models.shape import Shape
from eimf_core.plugins import Plugin

if TYPE_CHECKING:
    import torch

    from eimf_core.models.backbone import Backbone

OR_JOINED = ", or several joined by +"


@dataclass(frozen=True)
class Entry:
    """A backbone: its class as "file.Class" within this package, and whether it has a single interest."""

    path: str
    single: bool = False

    def load(self) -> type[Backbone]:
        """The class; imports torch."""
        file, _, kind = self.path.partition(".")
        found: type[Backbone] = getattr(importlib.import_module(f"eimf_core.models.{file}"), kind)
        return found


BACKBONES = {
    "comirec-sa": Entry("comirec_sa.ComiRecSA"),
    "comirec-dr": Entry("comirec_dr.ComiRecDR"),
    "mind": Entry("mind.MIND"),
    "remi": Entry("remi.REMI"),
    "pimi": Entry("pimi.PIMI"),
    "re4": Entry("re4.Re4"),
    "desmil": Entry("desmil.DESMIL"),
    "mfn": Entry("mfn.MFN"),
    "narm": Entry("narm.NARM"),
    "sine": Entry("sine.SINE"),
    "sasrec": Entry("sasrec.SASRec", single=True),
    "gru4rec": Entry("gru4rec.GRU4Rec", single=True),
}


def members(name: str) -> list[str]:
    """The backbones that are named, one or several joined by +; raises ConfigError as `is_single` does."""
    named = name.split("+")
    for each in named:
        _entry(each)
    return named


def is_single(name: str) -> bool:
    """Whether a backbone has one interest a user; ConfigError for a name that there is not lists those there are."""
    entry = _entry(name)
    return entry.single if isinstance(entry, Entry) else _of_plugin(entry).single


def interests_of(name: str, wanted: int) -> int:
    """How many interests a backbone gives when `wanted` are asked for; raises ConfigError as `is_single` does."""
    return 1 if is_single(name) else wanted


def load(name: str) -> type[Backbone]:
    """The class of a backbone; imports torch. Raises ConfigError as `is_single` does."""
    entry = _entry(name)
    return entry.load() if isinstance(entry, Entry) else _of_plugin(entry)


def _of_plugin(plugin: Plugin) -> type[Backbone]:
    from eimf_core.models.backbone import Backbone

    def problem(found: Any) -> str:
        is_one = isinstance(found, type) and issubclass(found, Backbone)
        return "" if is_one else f"{plugin.target} is no subclass of eimf_core.models.backbone.Backbone"

    found: type[Backbone] = plugin.load(problem)
    return found


def plugins_of(name: str) -> dict[str, str]:
    """Of the backbones that are named, one or several joined by +, the package of each that is a plug-in."""
    found = {each: _entry(each) for each in name.split("+")}
    return {each: entry.origin for each, entry in found.items() if isinstance(entry, Plugin)}


def refuse_absent(model: str, needed: Mapping[str, str]) -> None:
    """ModelError where training cannot go on from a model, since a plug-in that it needs is not installed.

    Args:
        model: its name.
        needed: what `plugins_of` gave when it was trained.
    """
    for name, package in needed.items():
        if name not in BACKBONES and plugins.find("backbones", name) is None:
            raise ModelError(
                f"{model}: its backbone {name} is a plug-in of {package}, which is not installed; install the package, "
                "or train another model (recommend and eval need no plug-in)"
            )


def read_hyperparameters(name: str, given: Mapping[str, Any], dimension: int) -> Hyperparameters:
    """The hyper-parameters of a backbone, checked; imports torch.

    Args:
        name: of the backbone.
        given: values by name, as a configuration file has them; the others have their defaults.
        dimension: width of the item vectors.

    Returns:
        The dataclass of the backbone with these values.

    Raises:
        ConfigError: for an unknown backbone or name, a wrong type, and a value that is out of bounds.
    """
    made = hyperparameters.read(load(name).hyperparameters, given, name)
    made.check_dimension(dimension)
    return made


def own_hyperparameters(name: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Hyper-parameters of the members of an ensemble: each gets those that it knows; imports torch.

    Args:
        name: backbones joined by +, or one, which gets all.
        given: values by name.

    Raises:
        ConfigError: for a name that none of several members knows.
    """
    named = members(name)
    if len(named) == 1:
        return [dict(given)]
    kinds = [load(each).hyperparameters for each in named]
    known = [{field.name for field in fields(kind)} for kind in kinds]
    for key in given:
        if not any(key in own for own in known):
            there = dict.fromkeys(
                hyperparameters.described(kind, each) for kind, each in zip(kinds, named, strict=True)
            )
            raise ConfigError(f"{hyperparameters.SAID} '{key}' is unknown; {', '.join(there)}")
    return [{key: value for key, value in given.items() if key in own} for own in known]


def build(name: str, shape: Shape, generator: torch.Generator, given: Mapping[str, Any] | None = None) -> Backbone:
    """The network of a backbone.

    Args:
        name: of the backbone.
        shape: its sizes.
        generator: draws the weights, and later what is dropped out.
        given: hyper-parameters by name; the others have their defaults.

    Returns:
        The network with its first weights.

    Raises:
        ConfigError: as `read_hyperparameters`.
    """
    return load(name)(shape, read_hyperparameters(name, given or {}, shape.dimension), generator)


def _entry(name: str) -> Entry | Plugin:
    entry = BACKBONES.get(name) or plugins.find("backbones", name)
    if entry is None:
        raise setting_error("backbone", no_choice(name, plugins.names("backbones"), also=OR_JOINED))
    return entry
