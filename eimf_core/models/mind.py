"""MIND: dynamic routing with one map for all capsules, trained by label-aware attention.

Paper: Li et al., Multi-Interest Network with Dynamic Routing for Recommendation at Tmall, CIKM 2019.
Differs: what routing starts from is drawn once and kept with the weights, not drawn for each user, so that the same
history always has the same interests; K is the same for all users; the ReLU layers on top are left out, since they
give no negative values and item vectors have them; label-aware attention multiplies the scores by the power where
the paper raises them to it, which has no meaning for negative ones (both limits are the same).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.models.backbone import Backbone
from eimf_core.models.comirec_dr import DynamicRouting, RoutingHyperparameters
from eimf_core.models.hyperparameters import hyperparameter
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class MINDHyperparameters(RoutingHyperparameters):
    power: float = hyperparameter(
        10.0, "Power of label-aware attention: 0 is the mean of the interests, a large one the best of them.", low=0
    )


class SharedRouting(DynamicRouting):
    """Behaviour-to-interest routing: u_i = S h_i, and b starts from a matrix (K, L) of normal values."""

    def __init__(self, shape: Shape, hyperparameters: RoutingHyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator, maps=1)
        self.start = torch.empty(shape.interests, shape.max_length).normal_(generator=generator)


class MIND(Backbone):
    extractor_type = SharedRouting
    hyperparameters = MINDHyperparameters
    own: MINDHyperparameters

    def read_out(self, interests: Tensor, targets: Tensor) -> Tensor:
        return functional.normalize(label_aware(interests, targets, self.own.power), dim=-1)


def label_aware(interests: Tensor, targets: Tensor, power: float) -> Tensor:
    """Label-aware attention, sum_k softmax_k(p <V_k, e_target>) V_k.

    Args:
        interests: (P, K, d).
        targets: (P, d), item vectors as scores see them.
        power: p.

    Returns:
        The blend of interests for each target, (P, d). The weights carry no gradient.
    """
    scores = torch.bmm(interests.detach(), targets.detach()[:, :, None])
    return (torch.softmax(power * scores, dim=1) * interests).sum(dim=1)
