"""Sparse concepts: a user activates K of a large pool of concepts. One prefix at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbones import Shape
from eimf_core.models.layers import linear, masked_softmax, table
from eimf_core.models.network import Output


class SparseConcepts(nn.Module):
    """Interests from the K concepts that fit a user best.

    z = sum_i softmax_i(w tanh(W_1 h_i)) h_i;  the K largest of s = C z are active, with vectors
    c_k = sigmoid(s_k) C_k;  p_(k|i) = softmax_k <W_2 h_i / |W_2 h_i|, c_k / |c_k|>;
    p_(i|k) = softmax_i(w' tanh(W_3 h_i));  V_k = LayerNorm(sum_i p_(k|i) p_(i|k) h_i)

    After Tan et al., WSDM 2021 (SINE). A departure: the published model blends the K interests into
    one vector by predicted intention; here they stay apart, since an item's score is the best over
    the interests and each is named.
    """

    one_pass = picks = False

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        width = shape.dimension
        self.interests = shape.interests
        self.concepts = table(max(shape.concepts, shape.interests), width, generator, deviation=0.1)
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
