"""MFN: interests from items and their features (categories), which attend to each other and are told apart.

Paper: Xie et al., Multiple Interest and Fine Granularity Network for User Modeling, 2021, arXiv 2112.02591.
Differs: the target attention on top is left out, since there is no target when a user is served; the auxiliary loss
"to boost the distinction of the interest representations" is this project's reading of it; attention knows how recent
an item is, as in comirec_sa.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbone import Backbone, TrainingStep
from eimf_core.models.comirec_sa import AttentionHeads, AttentionHyperparameters
from eimf_core.models.hyperparameters import Hyperparameters, hyperparameter
from eimf_core.models.layers import linear, table
from eimf_core.models.parts import Encoder, Output
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class MFNHyperparameters(AttentionHyperparameters):
    disagreement_weight: float = hyperparameter(0.1, "Weight of telling the interests of a user apart.", low=0)


class ItemFeatures(Encoder):
    """Item vectors plus the learned mean of the vectors of the item's features, such as its categories.

    Without features, or for an item that has none, the item vector alone.
    """

    def __init__(self, shape: Shape, hyperparameters: Hyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        self.features = table(shape.features + 1, shape.dimension, generator, deviation=0.1) if shape.features else None

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        if self.features is None or "features" not in side:
            return vectors
        there = (side["features"] > 0).to(vectors.dtype)
        total = (self.features[side["features"]] * there[..., None]).sum(dim=2)
        return vectors + total / there.sum(dim=2, keepdim=True).clamp(min=1.0)


class CombinedHeads(AttentionHeads):
    """Attention heads whose interests attend to each other."""

    hyperparameters = MFNHyperparameters
    selects_interest = False

    def __init__(self, shape: Shape, hyperparameters: MFNHyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        self.combination = InterestAttention(shape.dimension, generator)

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        interests, auxiliary = super().forward(states, mask)
        return self.combination(interests), auxiliary

    def all_prefixes(self, states: Tensor, mask: Tensor) -> Output:
        interests, auxiliary = super().all_prefixes(states, mask)
        return self.combination(interests), auxiliary


class InterestAttention(nn.Module):
    """Interests (…, K, d) that attend to each other, with a residual connection."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.projections = linear(width, 3 * width, generator, bias=False)

    def forward(self, interests: Tensor) -> Tensor:
        query, key, value = self.projections(interests).chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(interests.shape[-1]), dim=-1)
        result: Tensor = interests + weights @ value
        return result


class MFN(Backbone):
    encoder_type = ItemFeatures
    extractor_type = CombinedHeads
    hyperparameters = MFNHyperparameters
    side_inputs = ("features",)
    own: MFNHyperparameters

    def auxiliary_losses(self, step: TrainingStep) -> dict[str, Tensor]:
        if not self.own.disagreement_weight or step.interests is None:
            return {}
        return {"disagreement": self.own.disagreement_weight * disagreement(step.interests)}


def disagreement(interests: Tensor) -> Tensor:
    """The cosine of two interests of a user, D = mean_u mean_(k < l) cos(V_(u,k), V_(u,l)).

    Args:
        interests: (P, K, d).

    Returns:
        The mean over P users; 0 where there is one interest only.
    """
    count = interests.shape[1]
    if count == 1:
        return interests.sum() * 0.0
    unit = functional.normalize(interests, dim=-1)
    square = unit.sum(dim=1).square().sum(dim=-1)
    return ((square - count) / (count * (count - 1))).mean()
