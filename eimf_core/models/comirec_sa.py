"""ComiRec-SA: K attention heads over the items of a history.

Paper: Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020.
Differs: where the paper adds a learned position to the item before the logit (here `positions = "absolute"`), the
logit knows by default how recent an item is ("decay"), which absolute positions cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbone import Backbone
from eimf_core.models.hyperparameters import Hyperparameters, hyperparameter
from eimf_core.models.layers import linear, masked_softmax, running_softmax, table
from eimf_core.models.parts import Extractor, Output
from eimf_core.models.prefix_means import mapped, prefix_means
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class AttentionHyperparameters(Hyperparameters):
    positions: Literal["decay", "absolute", "none"] = hyperparameter(
        "decay", "What an attention head knows of an item's place: how recent it is, its absolute position, or nothing."
    )


class AttentionHeads(Extractor):
    """K attention heads over the history: V_k = sum_i softmax_i(a_(k,i)) h_i, with a = W_2 tanh(W_1 h).

    `positions` says what else a logit knows:
      "absolute"  a learned position is added to the item before the logit;
      "decay"     s_k * i is added to the logit of head k, with a learned slope s_k: since softmax
                  ignores what all logits share, this weighs an item by exp(-s_k * age);
      "none"      nothing.
    In all of them a logit depends on its own item alone, so that the interests of all prefixes are
    running weighted means: `all_prefixes` takes the softmax over each prefix of the same logits, and
    `nearest_interest` finds the best interest by running sums where histories are long. The gradient then passes
    the maps of the answering head alone: by the sums of all heads it costs more (at L 200 1.6 against
    3.5 ms, as measured in prefix_means.py).
    """

    hyperparameters = AttentionHyperparameters
    reads_all_prefixes = selects_interest = True

    def __init__(self, shape: Shape, hyperparameters: AttentionHyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        width, interests = shape.dimension, shape.interests
        self.hidden = linear(width, 4 * width, generator, bias=False)
        self.heads = linear(4 * width, interests, generator, bias=False)
        self.positions = self.slopes = None
        if hyperparameters.positions == "absolute":
            self.positions = table(shape.max_length, width, generator, deviation=0.02)
        elif hyperparameters.positions == "decay":
            # from heads that look at the last items to heads that look far back
            self.slopes = nn.Parameter(torch.logspace(0, -2, interests))

    def logits(self, states: Tensor) -> Tensor:
        """The logits of attention, before the softmax over a history.

        Args:
            states: (B, L, d).

        Returns:
            One logit per head and item, (B, K, L).
        """
        length = states.shape[1]
        seen = states if self.positions is None else states + self.positions[:length]
        # tanh(x) = 2 / (1 + exp(-2 x)) - 1 at a sixth of its cost
        halfway = torch.sigmoid(functional.linear(seen, 2.0 * self.hidden.weight))
        weight = self.heads.weight
        logits = functional.linear(halfway, 2.0 * weight, -weight.sum(dim=1)).transpose(1, 2)
        if self.slopes is not None:
            logits = logits + self.slopes[:, None] * torch.arange(length, device=states.device)
        return logits

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        attention = masked_softmax(self.logits(states), mask[:, None])
        return attention @ states, {"attention": attention}

    def all_prefixes(self, states: Tensor, mask: Tensor) -> Output:
        logits = self.logits(states)
        attention = running_softmax(logits[:, :, None])
        return mapped(attention, states).transpose(1, 2), {"attention": attention.transpose(1, 2), "logits": logits}

    def nearest_interest(self, states: Tensor, wanted: Tensor) -> Output:
        logits = self.logits(states)
        # found without gradients, so that they pass one head instead of all
        interests = prefix_means(logits.detach(), states.detach())
        scores = (interests * wanted[:, None]).sum(dim=-1)
        scores /= torch.linalg.vector_norm(interests, dim=-1).clamp_min_(1e-12)
        # picked by a product, whose gradient needs no scattering
        picked = functional.one_hot(scores.argmax(dim=1), logits.shape[1]).to(logits.dtype) @ logits
        return mapped(running_softmax(picked)[:, None], states)[:, 0], {"logits": logits}


class ComiRecSA(Backbone):
    extractor_type = AttentionHeads
    hyperparameters = AttentionHyperparameters
