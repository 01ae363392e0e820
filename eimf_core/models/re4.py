"""Re4: ComiRec-SA whose interests know which items they came from (backward flow).

Paper: Zhang et al., Re4: Learning to Re-contrast, Re-attend, Re-construct for Multi-interest Recommendation, WWW 2022.
Differs: the decoder has learned places instead of attention among the copies of an interest; attention knows how
recent an item is, as in comirec_sa.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbone import Backbone, TrainingStep
from eimf_core.models.comirec_sa import AttentionHeads, AttentionHyperparameters
from eimf_core.models.hyperparameters import hyperparameter
from eimf_core.models.layers import linear, table
from eimf_core.models.parts import Output
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class Re4Hyperparameters(AttentionHyperparameters):
    contrast_weight: float = hyperparameter(0.1, "Weight of re-contrast: an interest's items against others.", low=0)
    attend_weight: float = hyperparameter(0.01, "Weight of re-attend: attention that fits the interest.", low=0)
    rebuild_weight: float = hyperparameter(0.01, "Weight of re-construct: items predicted from their interest.", low=0)
    backward_temperature: float = hyperparameter(0.1, "Divides cosines in the first two.", above=0)


class ReconstructionHeads(AttentionHeads):
    """Attention heads with a decoder that guesses the items of an interest from the interest alone.

    While training, `forward` also gives "states" (B, L, d) and "rebuilt" (B, K, L, d).
    """

    hyperparameters = Re4Hyperparameters

    def __init__(self, shape: Shape, hyperparameters: Re4Hyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        self.decoder = Decoder(shape, generator)

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        interests, auxiliary = super().forward(states, mask)
        if self.training:
            auxiliary |= {"states": states, "rebuilt": self.decoder(interests, states.shape[1])}
        return interests, auxiliary


class Decoder(nn.Module):
    """Guesses of the items of each interest: W_2 tanh(W_1 V_k + p_i), (B, K, d) to (B, K, L, d)."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.places = table(shape.max_length, shape.dimension, generator, deviation=0.1)
        self.inner = linear(shape.dimension, shape.dimension, generator)
        self.outer = linear(shape.dimension, shape.dimension, generator)

    def forward(self, interests: Tensor, length: int) -> Tensor:
        result: Tensor = self.outer(torch.tanh(self.inner(interests)[:, :, None] + self.places[:length]))
        return result


class Re4(Backbone):
    extractor_type = ReconstructionHeads
    hyperparameters = Re4Hyperparameters
    own: Re4Hyperparameters

    def auxiliary_losses(self, step: TrainingStep) -> dict[str, Tensor]:
        own = self.own
        weights = {"contrast": own.contrast_weight, "attend": own.attend_weight, "rebuild": own.rebuild_weight}
        if not any(weights.values()):
            return {}
        interests, auxiliary = self(step.vectors, step.mask)
        losses = backward_flow(
            interests, auxiliary["attention"], auxiliary["states"], auxiliary["rebuilt"], step.mask,
            temperature=own.backward_temperature,
        )  # fmt: skip
        return {name: weights[name] * value for name, value in losses.items()}


def backward_flow(
    interests: Tensor, attention: Tensor, states: Tensor, rebuilt: Tensor, mask: Tensor, *, temperature: float
) -> dict[str, Tensor]:
    """Three losses, means over the interests of B histories with an item.

    An item belongs to interest k of a history of n items when a_(k,i) > 1/n. With c the cosine and t the temperature:

        contrast  -mean log( sum_own e^(c(V_k, h_i)/t) / (sum_all e^(c(V_k, h_i)/t) + sum_(l != k) e^(c(V_k, V_l)/t)) )
        attend    -mean sum_i softmax_i(c(V_k, h_i)/t) log a_(k,i)
        rebuild    mean over own items of |x_(k,i) - h_i|^2 / d,  x the guess from V_k alone

    The items, and in "attend" what attention should be, are given: no gradient flows into them.

    Args:
        interests: (B, K, d).
        attention: (B, K, L).
        states: (B, L, d).
        rebuilt: (B, K, L, d).
        mask: bool (B, L).
        temperature: t.

    Returns:
        The losses by name.
    """
    fixed = states.detach()
    there = mask[:, None]
    unit = functional.normalize(interests, dim=-1)
    logits = unit @ functional.normalize(fixed, dim=-1).mT / temperature
    logits = logits.masked_fill(~there, -1e30)
    count = mask.sum(dim=1).clamp(min=1)[:, None, None]
    # the largest is always one of its own: attention may be exactly even
    largest = attention >= attention.amax(dim=-1, keepdim=True)
    own = ((attention > 1.0 / count) | largest) & there
    among = unit @ unit.mT / temperature
    itself = torch.eye(interests.shape[1], dtype=torch.bool, device=interests.device)
    everything = torch.cat([logits, among.masked_fill(itself, -1e30)], dim=-1)
    near = torch.logsumexp(logits.masked_fill(~own, -1e30), dim=-1)
    wanted = torch.softmax(logits.detach(), dim=-1)
    missed = (rebuilt - fixed[:, None]).square().mean(dim=-1)
    return {
        "contrast": (torch.logsumexp(everything, dim=-1) - near).mean(),
        "attend": -(wanted * attention.clamp(min=1e-12).log() * there).sum(dim=-1).mean(),
        "rebuild": ((missed * own).sum(dim=-1) / own.sum(dim=-1).clamp(min=1)).mean(),
    }
