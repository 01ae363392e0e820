"""SINE: interests from the K concepts of a large pool that fit a user best.

Paper: Tan et al., Sparse-Interest Network for Sequential Recommendation, WSDM 2021.
Differs: the paper blends the K interests into one vector by predicted intention; here they stay apart, since an
item's score is the best over the interests and each is named.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbone import Backbone
from eimf_core.models.hyperparameters import Hyperparameters, hyperparameter
from eimf_core.models.layers import linear, masked_softmax, table
from eimf_core.models.parts import Extractor, Output
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class ConceptHyperparameters(Hyperparameters):
    concepts: int = hyperparameter(128, "Concepts to choose from; at least as many as interests are used.", low=1)


class SparseConcepts(Extractor):
    """Interests from the K concepts that fit a user best, one prefix at a time.

    z = sum_i softmax_i(w tanh(W_1 h_i)) h_i;  the K largest of s = C z are active, with vectors
    c_k = sigmoid(s_k) C_k;  p_(k|i) = softmax_k <W_2 h_i / |W_2 h_i|, c_k / |c_k|>;
    p_(i|k) = softmax_i(w' tanh(W_3 h_i));  V_k = LayerNorm(sum_i p_(k|i) p_(i|k) h_i)
    """

    hyperparameters = ConceptHyperparameters

    def __init__(self, shape: Shape, hyperparameters: ConceptHyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        width = shape.dimension
        self.interests = shape.interests
        self.concepts = table(max(hyperparameters.concepts, shape.interests), width, generator, deviation=0.1)
        self.pooling = nn.ModuleList([linear(width, width, generator), linear(width, 1, generator, bias=False)])
        self.weighting = nn.ModuleList([linear(width, width, generator), linear(width, 1, generator, bias=False)])
        self.assigning = linear(width, width, generator, bias=False)
        self.scale = nn.LayerNorm(width)

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        pooled = masked_softmax(self._logit(self.pooling, states), mask)[:, None] @ states
        fit, chosen = torch.topk((pooled @ self.concepts.T)[:, 0], self.interests, dim=-1)
        active = self.concepts[chosen] * torch.sigmoid(fit)[..., None]
        kind = functional.normalize(self.assigning(states), dim=-1) @ functional.normalize(active, dim=-1).transpose(
            -1, -2
        )
        share = (
            torch.softmax(kind, dim=-1).transpose(-1, -2)
            * masked_softmax(self._logit(self.weighting, states), mask)[:, None]
        )
        interests = self.scale(share @ states)
        return interests, {"attention": share / share.sum(dim=-1, keepdim=True).clamp(min=1e-12)}

    @staticmethod
    def _logit(layers: nn.ModuleList, states: Tensor) -> Tensor:
        made: Tensor = layers[1](torch.tanh(layers[0](states)))[..., 0]
        return made


class SINE(Backbone):
    extractor_type = SparseConcepts
    hyperparameters = ConceptHyperparameters
