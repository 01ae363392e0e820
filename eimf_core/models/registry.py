"""The backbones by name. No torch here, so that a wrong name is told before anything heavy is loaded.

A name is one of `BACKBONES` or a free combination `ENCODER+EXTRACTOR`, such as "transformer+attention". How a new
backbone joins stands in `eimf_core/models/__init__.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eimf_core.config import wrong
from eimf_core.models import hyperparameters
from eimf_core.models.hyperparameters import Hyperparameters
from eimf_core.models.shape import Shape

if TYPE_CHECKING:
    import torch

    from eimf_core.models.backbone import Backbone


@dataclass(frozen=True)
class Entry:
    """A backbone: its class as "file.Class" within this package, and whether it has a single interest."""

    path: str
    single: bool = False


BACKBONES = {
    "comirec-sa": Entry("comirec_sa.ComiRecSA"),
    "comirec-dr": Entry("comirec_dr.ComiRecDR"),
    "mind": Entry("mind.MIND"),
    "remi": Entry("remi.REMI"),
    "pimi": Entry("pimi.PIMI"),
    "re4": Entry("re4.Re4"),
    "desmil": Entry("desmil.DESMIL"),
    "mfn": Entry("mfn.MFN"),
    "sine": Entry("sine.SINE"),
    "sasrec": Entry("sasrec.SASRec", single=True),
    "gru4rec": Entry("gru4rec.GRU4Rec", single=True),
}
# the parts of free combinations
ENCODERS = {"none": "parts.NoEncoder", "gru": "gru4rec.Recurrent", "transformer": "sasrec.Transformer"}
EXTRACTORS = {
    "attention": "comirec_sa.AttentionHeads",
    "routing": "comirec_dr.DynamicRouting",
    "concepts": "sine.SparseConcepts",
    "last": "parts.LastState",
}


def is_single(name: str) -> bool:
    """Whether a backbone has one interest a user; ConfigError for a name that there is not lists those there are."""
    if name in BACKBONES:
        return BACKBONES[name].single
    return _parts(name)[1] == "last"


def interests_of(name: str, wanted: int) -> int:
    """How many interests a backbone gives when `wanted` are asked for; raises ConfigError as `is_single` does."""
    return 1 if is_single(name) else wanted


def load(name: str) -> type[Backbone]:
    """The class of a backbone; imports torch. Raises ConfigError as `is_single` does."""
    if name in BACKBONES:
        found: type[Backbone] = _imported(BACKBONES[name].path)
        return found
    # a wrong name is told before torch is loaded
    encoder, extractor = _parts(name)
    from eimf_core.models.combination import combine

    return combine(name, _imported(ENCODERS[encoder]), _imported(EXTRACTORS[extractor]))


def read_hyperparameters(name: str, given: Mapping[str, Any], dimension: int) -> Hyperparameters:
    """The hyper-parameters of a backbone, checked; imports torch.

    Args:
        name: of the backbone.
        given: values by name, as a configuration file has them; the others have their defaults.
        dimension: width of the item vectors.

    Raises:
        ConfigError: for an unknown backbone or name, a wrong type, and a value that is out of bounds.
    """
    made = hyperparameters.read(load(name).hyperparameters, given, name)
    made.check_dimension(dimension)
    return made


def build(name: str, shape: Shape, generator: torch.Generator, given: Mapping[str, Any] | None = None) -> Backbone:
    """The network of a backbone.

    Args:
        name: of the backbone.
        shape: its sizes.
        generator: draws the weights, and later what is dropped out.
        given: hyper-parameters by name; the others have their defaults.

    Raises:
        ConfigError: as `read_hyperparameters`.
    """
    return load(name)(shape, read_hyperparameters(name, given or {}, shape.dimension), generator)


def _parts(name: str) -> tuple[str, str]:
    encoder, _, extractor = name.partition("+")
    if encoder in ENCODERS and extractor in EXTRACTORS:
        return encoder, extractor
    raise wrong(
        "backbone",
        f"is '{name}', expected one of {', '.join(BACKBONES)}, or ENCODER+EXTRACTOR with encoders "
        f"{', '.join(ENCODERS)} and extractors {', '.join(EXTRACTORS)}",
    )


def _imported(path: str) -> Any:
    file, _, name = path.partition(".")
    return getattr(importlib.import_module(f"eimf_core.models.{file}"), name)
