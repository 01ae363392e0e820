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
from eimf_core.models.parts import Encoder
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
            [Block(shape, hyperparameters.heads, generator) for _ in range(hyperparameters.layers)]
        )
        self.final = nn.LayerNorm(shape.dimension)
        self.dropout = Dropout(shape.dropout, generator)

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        length = vectors.shape[1]
        visible = causal(length, vectors.device)[None] & mask[:, None, :]
        states = self.dropout(self.scale(vectors) + self.positions[:length])
        for block in self.blocks:
            states = block(states, visible)
        result: Tensor = self.final(states)
        return result


class Block(nn.Module):
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

    def forward(self, states: Tensor, visible: Tensor) -> Tensor:
        states = states + self.dropout(self.attend(self.before_attention(states), visible))
        inner = functional.gelu(self.inner(self.before_forward(states)))
        result: Tensor = states + self.dropout(self.outer(inner))
        return result

    def attend(self, states: Tensor, visible: Tensor) -> Tensor:
        """Multi-head attention; `visible` bool (B, L, L) says which item each position may see."""
        size = states.shape[-1] // self.heads
        query, key, value = (
            part.unflatten(-1, (self.heads, size)).transpose(1, 2) for part in self.projections(states).chunk(3, dim=-1)
        )
        logits = query @ key.transpose(-1, -2) / math.sqrt(size)
        mixed = masked_softmax(logits, visible[:, None]) @ value
        result: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return result


class SASRec(Backbone):
    encoder_type = Transformer
    hyperparameters = TransformerHyperparameters
