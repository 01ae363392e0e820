"""SASRec: the state of causal self-attention blocks at the last item.

Paper: Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018.
Differs: each part is normalised before it, and the feed-forward part has width 4d, the usual departures of later
implementations: they train more steadily.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.errors import ConfigError
from eimf_core.models.backbone import Backbone
from eimf_core.models.hyperparameters import Hyperparameters, hyperparameter
from eimf_core.models.layers import Dropout, causal, linear, masked_softmax, table
from eimf_core.models.parts import Encoder, Output, last_place
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class TransformerHyperparameters(Hyperparameters):
    layers: int = hyperparameter(2, "Blocks of self-attention and a feed-forward part.", low=1)
    heads: int = hyperparameter(2, "Attention heads of a block.", low=1)

    def check_dimension(self, dimension: int) -> None:
        if dimension % self.heads:
            raise ConfigError(f"heads (in --config) is {self.heads}, which does not divide --dimension {dimension}")


class Transformer(Encoder):
    """Causal self-attention blocks with learned positions."""

    hyperparameters = TransformerHyperparameters

    def __init__(self, shape: Shape, hyperparameters: TransformerHyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        self.positions = table(shape.max_length, shape.dimension, generator, deviation=0.02)
        self.scale = nn.LayerNorm(shape.dimension)
        self.blocks = nn.ModuleList(
            [TransformerBlock(shape, hyperparameters.heads, generator) for _ in range(hyperparameters.layers)]
        )
        self.final = nn.LayerNorm(shape.dimension)
        self.dropout = Dropout(shape.dropout, generator)

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        visible = causal(vectors.shape[1], vectors.device)[None] & mask[:, None, :]
        states = self._start(vectors)
        for block in self.blocks:
            states = block(states, visible)
        result: Tensor = self.final(states)
        return result

    def last(self, vectors: Tensor, mask: Tensor, place: Tensor) -> Tensor:
        """The state of the last item of each history. The last block computes no other.

        Args:
            vectors: item vectors (B, L, d).
            mask: bool (B, L), true where there is an item.
            place: (B, 1, L), 1 at the last item and 0 elsewhere.

        Returns:
            (B, 1, d).
        """
        visible = causal(vectors.shape[1], vectors.device)[None] & mask[:, None, :]
        states = self._start(vectors)
        *before, last = self.blocks
        for block in before:
            states = block(states, visible)
        result: Tensor = self.final(last(states, mask[:, None, :], place))
        return result

    def _start(self, vectors: Tensor) -> Tensor:
        started: Tensor = self.dropout(self.scale(vectors) + self.positions[: vectors.shape[1]])
        return started


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward part, each with a residual connection."""

    def __init__(self, shape: Shape, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        width = shape.dimension
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.before_forward = nn.LayerNorm(width)
        self.projections = linear(width, 3 * width, generator)
        self.output = linear(width, width, generator)
        self.inner = linear(width, 4 * width, generator)
        self.outer = linear(4 * width, width, generator)
        self.dropout = Dropout(shape.dropout, generator)

    def forward(self, states: Tensor, visible: Tensor, place: Tensor | None = None) -> Tensor:
        """States (B, L, d), or those (B, n, d) of the places of which `place` (B, n, L) holds a 1."""
        seen = self.before_attention(states)
        own = states if place is None else place @ states
        states = own + self.dropout(self.attend(seen, visible, place))
        inner = functional.gelu(self.inner(self.before_forward(states)))
        result: Tensor = states + self.dropout(self.outer(inner))
        return result

    def attend(self, states: Tensor, visible: Tensor, place: Tensor | None = None) -> Tensor:
        """Multi-head attention; `visible` bool (B, L, L) says which item each position may see.

        With `place`, as in `forward`, `visible` is (B, n, L).
        """
        width = states.shape[-1]
        size = width // self.heads
        if place is None:
            projected = self.projections(states).chunk(3, dim=-1)
        else:
            weight, bias = self.projections.weight, self.projections.bias
            keys = functional.linear(states, weight[width:], bias[width:]).chunk(2, dim=-1)
            projected = (functional.linear(place @ states, weight[:width], bias[:width]), *keys)
        query, key, value = (part.unflatten(-1, (self.heads, size)).transpose(1, 2) for part in projected)
        logits = query @ key.transpose(-1, -2) / math.sqrt(size)
        mixed = masked_softmax(logits, visible[:, None]) @ value
        result: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return result


class SASRec(Backbone):
    encoder_type = Transformer
    hyperparameters = TransformerHyperparameters
    encoder: Transformer

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor] | None = None) -> Output:
        place = last_place(mask, vectors.dtype)
        interests = self.encoder.last(self._read(vectors, side or {}), mask, place)
        return functional.normalize(interests, dim=-1) * mask.any(dim=1)[:, None, None], {"attention": place}
