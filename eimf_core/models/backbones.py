"""The named backbones: each is a sequence encoder and an interest extractor with their options.

This file imports no torch, so that a wrong name is told before anything heavy is loaded. A name is
one of `BACKBONES` or a free combination `ENCODER+EXTRACTOR`, such as "transformer+attention".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eimf_core.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from eimf_core.models.network import Backbone

ENCODERS = ("none", "transformer")
EXTRACTORS = ("attention", "last")


@dataclass(frozen=True)
class Recipe:
    """How a backbone is put together. `options` go to its extractor; `single` has one interest only."""

    encoder: str
    extractor: str
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    single: bool = False


BACKBONES = {
    "comirec-sa": Recipe(
        encoder="none",
        extractor="attention",
        source="Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020",
    ),
    "sasrec": Recipe(
        encoder="transformer",
        extractor="last",
        source="Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018",
        single=True,
    ),
}


@dataclass(frozen=True)
class Shape:
    """What a network is built for: d, K, the longest history L, and the share of values dropped out.

    `positions`: what an attention head knows of the place of an item (see extractors.py).
    `layers` and `heads` belong to the transformer. `normalise`: interests have length 1.
    """

    dimension: int
    interests: int
    max_length: int
    dropout: float = 0.0
    positions: str = "decay"
    layers: int = 2
    heads: int = 2
    normalise: bool = True


def recipe(name: str) -> Recipe:
    """The recipe of a name; ConfigError lists the names when there is none such."""
    if name in BACKBONES:
        return BACKBONES[name]
    encoder, plus, extractor = name.partition("+")
    if plus and encoder in ENCODERS and extractor in EXTRACTORS:
        return Recipe(encoder=encoder, extractor=extractor, source="a free combination", single=extractor == "last")
    raise ConfigError(
        f"unknown backbone '{name}'; there are {', '.join(BACKBONES)}, and ENCODER+EXTRACTOR with "
        f"encoders {', '.join(ENCODERS)} and extractors {', '.join(EXTRACTORS)}"
    )


def interests_of(name: str, wanted: int) -> int:
    """How many interests a backbone gives when `wanted` are asked for."""
    return 1 if recipe(name).single else wanted


def build(name: str, shape: Shape, generator: torch.Generator) -> Backbone:
    """The network of a backbone; its weights, and later its dropout, are drawn from `generator`."""
    from eimf_core.models import encoders, extractors
    from eimf_core.models.network import Backbone

    made = recipe(name)
    encoder = encoders.build(made.encoder, shape, generator)
    extractor = extractors.build(made.extractor, shape, generator, **made.options)
    return Backbone(encoder, extractor, shape, generator)
