"""What some backbones add to the training loss; the rest train with the softmax alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eimf_core.models.network import Backbone
from eimf_core.training.config import TrainConfig
from eimf_core.training.losses.backward_flow import backward_flow
from eimf_core.training.losses.disagreement import disagreement
from eimf_core.training.losses.independence import independent_weights
from eimf_core.training.losses.routing_regularisation import routing_regularisation

RANDOM_FEATURES = 16
BACKWARD_TEMPERATURE = 0.1


@dataclass(frozen=True)
class Extras:
    """Weights of further losses, 0 for none; `power` is that of label-aware attention, None for the hard
    read-out; `hardness` that of interest-aware negatives; `independent`: pairs are weighted."""

    hardness: float = 0.0
    routing: float = 0.0
    disagreement: float = 0.0
    contrast: float = 0.0
    attend: float = 0.0
    rebuild: float = 0.0
    independent: bool = False
    power: float | None = None

    @property
    def needs_all(self) -> bool:
        """Whether a loss looks at all interests of a user, not only at the one that answers for a target."""
        return self.independent or bool(self.disagreement) or self.power is not None

    def scaled(self, factor: float) -> Extras:
        """The same with the weights of further losses times `factor`."""
        names = ("routing", "disagreement", "contrast", "attend", "rebuild")
        return replace(self, **{name: factor * getattr(self, name) for name in names})


EXTRAS = {
    "mind": Extras(power=10.0),
    "remi": Extras(hardness=1.0, routing=1.0),
    "re4": Extras(contrast=0.1, attend=0.01, rebuild=0.01),
    "desmil": Extras(independent=True),
    "mfn": Extras(disagreement=0.1),
}


def extras_of(backbone: str) -> Extras:
    """What a backbone adds."""
    return EXTRAS.get(backbone, Extras())


def chosen(settings: TrainConfig) -> Extras:
    """What is added with these settings."""
    extras = extras_of(settings.backbone).scaled(settings.auxiliary_weight)
    if settings.hardness is not None:
        extras = replace(extras, hardness=settings.hardness)
    return replace(extras, independent=True) if settings.independent else extras


def pair_weights(extras: Extras, interests: Tensor | None, generator: torch.Generator) -> Tensor | None:
    """Weights (P,) of the pairs, their mean 1 / P; None for equal ones. interests (P, K, d)."""
    if not extras.independent or interests is None or interests.shape[1] == 1 or len(interests) < 2:
        return None
    # drawn where the generator lives
    at = generator.device
    frequencies = torch.empty(interests.shape[-1], RANDOM_FEATURES, device=at).normal_(generator=generator)
    phases = torch.empty(RANDOM_FEATURES, device=at).uniform_(0.0, 2.0 * torch.pi, generator=generator)
    return independent_weights(interests, frequencies.to(interests), phases.to(interests)) / len(interests)


def further_losses(
    extras: Extras, backbone: Backbone, interests: Tensor | None, logits: Tensor | None, wanted: Tensor,
    vectors: Tensor, mask: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    """The weighted further losses by name.

    interests (P, K, d) of the histories that have a target; logits (B, K, L) of the attention of the
    rows of the batch and wanted bool (B, L), which of its prefixes have a target; vectors (B, L, d)
    and mask (B, L) of the rows.
    """
    losses = {}
    if extras.routing and logits is not None:
        losses["routing"] = extras.routing * routing_regularisation(logits, wanted)
    if extras.disagreement and interests is not None:
        losses["disagreement"] = extras.disagreement * disagreement(interests)
    if extras.contrast or extras.attend or extras.rebuild:
        whole, auxiliary = backbone(vectors, mask)
        flow = backward_flow(
            whole, auxiliary["attention"], auxiliary["states"], auxiliary["rebuilt"], mask,
            temperature=BACKWARD_TEMPERATURE,
        )  # fmt: skip
        losses |= {name: getattr(extras, name) * value for name, value in flow.items()}
    return losses
