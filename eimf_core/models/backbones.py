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

ENCODERS = ("none", "gru", "transformer")
EXTRACTORS = ("attention", "routing", "concepts", "last")


@dataclass(frozen=True)
class Recipe:
    """How a backbone is put together. `options` go to its extractor; `single` has one interest only.

    `side` names what it reads beside item vectors, when the data has it: "days" or "features" (see
    network.py). What a backbone adds to the loss stands in `training/extras.py`.
    """

    encoder: str
    extractor: str
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    single: bool = False
    side: tuple[str, ...] = ()


BACKBONES = {
    "comirec-sa": Recipe(
        encoder="none",
        extractor="attention",
        source="Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020",
    ),
    "comirec-dr": Recipe(
        encoder="none",
        extractor="routing",
        source="Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020",
    ),
    "mind": Recipe(
        encoder="none",
        extractor="routing",
        source="Li et al., Multi-Interest Network with Dynamic Routing for Recommendation at Tmall, CIKM 2019",
        options={"shared": True},
    ),
    "remi": Recipe(
        encoder="none",
        extractor="attention",
        source="Xie et al., Rethinking Multi-Interest Learning for Candidate Matching, RecSys 2023",
    ),
    "pimi": Recipe(
        encoder="intervals",
        extractor="attention",
        source="Chen et al., Exploring Periodicity and Interactivity in Multi-Interest Framework, IJCAI 2021",
        side=("days",),
    ),
    "re4": Recipe(
        encoder="none",
        extractor="attention",
        source="Zhang et al., Re4: Learning to Re-contrast, Re-attend, Re-construct, WWW 2022",
        options={"rebuilds": True},
    ),
    "desmil": Recipe(
        encoder="none",
        extractor="attention",
        source="Liu et al., Deep Stable Multi-Interest Learning for Out-of-distribution Recommendation, 2022",
    ),
    "mfn": Recipe(
        encoder="features",
        extractor="attention",
        source="Xie et al., Multiple Interest and Fine Granularity Network for User Modeling, 2021, arXiv 2112.02591",
        options={"combines": True},
        side=("features",),
    ),
    "sine": Recipe(
        encoder="none",
        extractor="concepts",
        source="Tan et al., Sparse-Interest Network for Sequential Recommendation, WSDM 2021",
    ),
    "sasrec": Recipe(
        encoder="transformer",
        extractor="last",
        source="Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018",
        single=True,
    ),
    "gru4rec": Recipe(
        encoder="gru",
        extractor="last",
        source="Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016",
        single=True,
    ),
}


@dataclass(frozen=True)
class Shape:
    """What a network is built for: d, K, the longest history L, and the share of values dropped out.

    `positions`: what an attention head knows of the place of an item (see extractors.py).
    `layers` and `heads` belong to the transformer, `concepts` is the pool that sparse concepts are
    chosen from, `features` how many item features (categories) there are, `events` how many kinds of
    behaviour. `normalise`: interests have length 1.
    """

    dimension: int
    interests: int
    max_length: int
    dropout: float = 0.0
    positions: str = "decay"
    layers: int = 2
    heads: int = 2
    concepts: int = 128
    features: int = 0
    events: int = 0
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
    return Backbone(encoder, extractor, shape, generator, side=made.side)
