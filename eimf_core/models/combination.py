"""Free combinations of a sequence encoder and an interest extractor: ENCODER+EXTRACTOR."""

from __future__ import annotations

from dataclasses import dataclass

from eimf_core.models.backbone import Backbone
from eimf_core.models.parts import Encoder, Extractor


def combine(name: str, encoder: type[Encoder], extractor: type[Extractor]) -> type[Backbone]:
    """The class of a combination; its hyper-parameters are those of both parts."""
    kinds = dict.fromkeys((encoder.hyperparameters, extractor.hyperparameters))
    # the base class of all of them adds nothing, and must not come before a class of its own
    bases = tuple(kind for kind in kinds if not any(issubclass(other, kind) for other in kinds if other is not kind))
    parts = {
        "encoder_type": encoder,
        "extractor_type": extractor,
        "hyperparameters": dataclass(frozen=True)(type("CombinedHyperparameters", bases, {})),
    }
    return type(name, (Backbone,), parts)
