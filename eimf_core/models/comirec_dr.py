"""ComiRec-DR: dynamic routing shares the items of a history out among K capsules.

Paper: Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020.
Differs: in nothing but what all backbones share; gradients flow through the last round alone, as published.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eimf_core.models.backbone import Backbone
from eimf_core.models.hyperparameters import Hyperparameters, hyperparameter
from eimf_core.models.layers import linear
from eimf_core.models.parts import Extractor, Output
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class RoutingHyperparameters(Hyperparameters):
    rounds: int = hyperparameter(3, "Rounds of routing.", low=1)


class DynamicRouting(Extractor):
    """K capsules, one prefix at a time.

    c_(k,i) = softmax_k(b_(k,i)), v_k = squash(sum_i c_(k,i) u_(k,i)), b_(k,i) += <u_(k,i), v_k>,

    where each capsule has a map of its own, u_(k,i) = S_k h_i, and b starts at 0. With a single map (`maps` 1) all
    capsules share it, and b must start from elsewhere (`start`), which tells the capsules apart.
    """

    hyperparameters = RoutingHyperparameters
    start: Tensor | None

    def __init__(
        self, shape: Shape, hyperparameters: RoutingHyperparameters, generator: torch.Generator, *,
        maps: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(shape, hyperparameters, generator)
        self.rounds, self.interests, self.maps_each = hyperparameters.rounds, shape.interests, maps or shape.interests
        self.maps = linear(shape.dimension, shape.dimension * self.maps_each, generator, bias=False)
        self.register_buffer("start", None)

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        length = states.shape[1]
        shown = self.maps(states).unflatten(-1, (self.maps_each, -1)).transpose(1, 2)
        shown = shown.expand(-1, self.interests, -1, -1)
        fixed, there = shown.detach(), mask[:, None].to(states.dtype)
        start = states.new_zeros(self.interests, 1) if self.start is None else self.start[:, :length]
        # written so that the exported form keeps batch and length free
        logits = start + 0.0 * there
        for _ in range(self.rounds - 1):
            weights = torch.softmax(logits, dim=1) * there
            capsules = squash((weights[:, :, None] @ fixed)[:, :, 0])
            logits = logits + (fixed @ capsules[..., None])[..., 0]
        weights = torch.softmax(logits, dim=1) * there
        interests = squash((weights[:, :, None] @ shown)[:, :, 0])
        return interests, {"attention": weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-12)}


def squash(vectors: Tensor) -> Tensor:
    """Vectors of length below 1, long ones near 1: |x|^2 / (1 + |x|^2) * x / |x|."""
    square = vectors.square().sum(dim=-1, keepdim=True)
    return vectors * (torch.sqrt(square + 1e-9) / (1.0 + square))


class ComiRecDR(Backbone):
    extractor_type = DynamicRouting
    hyperparameters = RoutingHyperparameters
