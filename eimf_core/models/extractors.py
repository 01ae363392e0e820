"""Interest extractors: states (B, L, d) and mask (B, L) to K interests and their attention maps.

All forms are described at `network.Backbone`. `one_pass` says whether there is a `prefixes`, `picks`
whether there is a `nearest`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbones import Shape
from eimf_core.models.concepts import SparseConcepts
from eimf_core.models.layers import linear, masked_softmax, running_softmax, table
from eimf_core.models.network import Output
from eimf_core.models.routing import DynamicRouting
from eimf_core.models.running import prefix_means


def build(name: str, shape: Shape, generator: torch.Generator, **options: bool) -> nn.Module:
    """The extractor of a name in `backbones.EXTRACTORS`."""
    if name == "last":
        return LastState()
    if name == "routing":
        return DynamicRouting(shape, generator, **options)
    if name == "concepts":
        return SparseConcepts(shape, generator)
    return AttentionHeads(shape, generator, **options)


class LastState(nn.Module):
    """One interest: the state of the last item (as SASRec and GRU4Rec read out)."""

    one_pass = picks = True

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        places = torch.arange(mask.shape[1], device=mask.device)
        last = (places == mask.sum(dim=1, keepdim=True) - 1).to(states.dtype)[:, None]
        return last @ states, {"attention": last}

    def nearest(self, states: Tensor, wanted: Tensor) -> Output:
        return states, {}

    def prefixes(self, states: Tensor, mask: Tensor) -> Output:
        attention = torch.eye(mask.shape[1], dtype=states.dtype, device=states.device)
        return states[:, :, None], {"attention": attention[None, :, None].expand(len(states), -1, -1, -1)}


class AttentionHeads(nn.Module):
    """K attention heads over the history: V_k = sum_i softmax_i(a_(k,i)) h_i.

    After Cen et al., KDD 2020 (ComiRec-SA): a = W_2 tanh(W_1 h). `shape.positions` says what else a
    logit knows:
      "absolute"  the published form, a learned position is added to the item before the logit;
      "decay"     s_k * i is added to the logit of head k, with a learned slope s_k: since softmax
                  ignores what all logits share, this weighs an item by exp(-s_k * age). A departure:
                  it knows how recent an item is, which absolute positions cannot tell;
      "none"      nothing.
    In all of them a logit depends on its own item alone, so that the interests of all prefixes are
    running weighted means: `prefixes` takes the softmax over each prefix of the same logits, and
    `nearest` finds the best interest by running sums where histories are long. The gradient then passes
    the maps of the answering head alone: by the sums of all heads it costs more (at L 200 1.6 against
    3.5 ms, as measured in running.py).

    `residual` adds the state of the last item to each interest. `combines` lets the interests of a
    user attend to each other (MFN's combinations). `rebuilds` (Re4) adds a decoder that guesses the
    items of an interest from the interest alone: while training, `forward` also gives "states"
    (B, L, d) and "rebuilt" (B, K, L, d).
    """

    one_pass = True

    def __init__(
        self, shape: Shape, generator: torch.Generator, *, residual: bool = False, combines: bool = False,
        rebuilds: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        width, interests = shape.dimension, shape.interests
        self.residual, self.cosine = residual, shape.normalise
        self.picks = not combines
        self.hidden = linear(width, 4 * width, generator, bias=False)
        self.heads = linear(4 * width, interests, generator, bias=False)
        self.positions = self.slopes = None
        if shape.positions == "absolute":
            self.positions = table(shape.max_length, width, generator, deviation=0.02)
        elif shape.positions == "decay":
            # from heads that look at the last items to heads that look far back
            self.slopes = nn.Parameter(torch.logspace(0, -2, interests))
        self.combination = Combination(width, generator) if combines else None
        self.decoder = Decoder(shape, generator) if rebuilds else None

    def logits(self, states: Tensor) -> Tensor:
        """One logit per head and item, (B, K, L)."""
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
        interests = attention @ states
        if self.residual:
            interests = interests + LastState()(states, mask)[0]
        if self.combination is not None:
            interests = self.combination(interests)
        auxiliary = {"attention": attention}
        if self.decoder is not None and self.training:
            auxiliary |= {"states": states, "rebuilt": self.decoder(interests, states.shape[1])}
        return interests, auxiliary

    def prefixes(self, states: Tensor, mask: Tensor) -> Output:
        logits = self.logits(states)
        attention = running_softmax(logits[:, :, None])
        interests = self._prefixes(attention, states).transpose(1, 2)
        if self.combination is not None:
            interests = self.combination(interests)
        return interests, {"attention": attention.transpose(1, 2), "logits": logits}

    def nearest(self, states: Tensor, wanted: Tensor) -> Output:
        logits = self.logits(states)
        # found without gradients, so that they pass one head instead of all
        interests = prefix_means(logits.detach(), states.detach())
        interests = interests + states.detach()[:, None] if self.residual else interests
        scores = (interests * wanted[:, None]).sum(dim=-1)
        if self.cosine:
            scores /= torch.linalg.vector_norm(interests, dim=-1).clamp_min_(1e-12)
        # picked by a product, whose gradient needs no scattering
        picked = functional.one_hot(scores.argmax(dim=1), logits.shape[1]).to(logits.dtype) @ logits
        return self._prefixes(running_softmax(picked)[:, None], states)[:, 0], {"logits": logits}

    def _prefixes(self, attention: Tensor, states: Tensor) -> Tensor:
        """Interests (B, K, L, d) from the maps of all prefixes (B, K, L, L)."""
        interests: Tensor = (attention.flatten(1, 2) @ states).unflatten(1, attention.shape[1:3])
        return interests + states[:, None] if self.residual else interests


class Combination(nn.Module):
    """Interests (…, K, d) that attend to each other, with a residual connection.

    After Xie et al., arXiv 2112.02591 (MFN), whose self-attentive layers combine the interests; the
    published target attention on top is left out, since there is no target when a user is served.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.projections = linear(width, 3 * width, generator, bias=False)

    def forward(self, interests: Tensor) -> Tensor:
        query, key, value = self.projections(interests).chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(interests.shape[-1]), dim=-1)
        result: Tensor = interests + weights @ value
        return result


class Decoder(nn.Module):
    """Guesses of the items of each interest: W_2 tanh(W_1 V_k + p_i), (B, K, d) to (B, K, L, d).

    After Zhang et al., WWW 2022 (Re4, re-construct), with learned places instead of attention among
    the copies of an interest.
    """

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.places = table(shape.max_length, shape.dimension, generator, deviation=0.1)
        self.inner = linear(shape.dimension, shape.dimension, generator)
        self.outer = linear(shape.dimension, shape.dimension, generator)

    def forward(self, interests: Tensor, length: int) -> Tensor:
        result: Tensor = self.outer(torch.tanh(self.inner(interests)[:, :, None] + self.places[:length]))
        return result
