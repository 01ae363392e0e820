"""Sequence encoders: item vectors (B, L, d), mask (B, L) and side inputs to states (B, L, d).

In a `causal` encoder the state at a position depends on this and earlier items only, so that the
interests of all prefixes can be read from one pass.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbones import Shape
from eimf_core.models.intervals import IntervalGraph
from eimf_core.models.layers import Dropout, causal, linear, masked_softmax, table


def build(name: str, shape: Shape, generator: torch.Generator) -> nn.Module:
    """The encoder of a name in `backbones.ENCODERS`."""
    if name == "transformer":
        return Transformer(shape, generator)
    if name == "gru":
        return Recurrent(shape, generator)
    if name == "features":
        return ItemFeatures(shape, generator)
    if name == "intervals":
        return IntervalGraph(shape, generator)
    return NoEncoder()


class NoEncoder(nn.Module):
    """The item vectors themselves."""

    causal = True

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        return vectors


class Recurrent(nn.Module):
    """Gated recurrent units over the history, after Hidasi et al., ICLR 2016 (GRU4Rec).

    A departure: the state goes through a linear layer into the item space, as in most later
    implementations, instead of into scores of its own output table.
    """

    causal = True

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        width = shape.dimension
        self.cells = nn.GRU(width, width, batch_first=True)
        with torch.no_grad():
            for parameter in self.cells.parameters():
                parameter.uniform_(-1.0 / math.sqrt(width), 1.0 / math.sqrt(width), generator=generator)
        self.output = linear(width, width, generator)

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        result: Tensor = self.output(self.cells(vectors)[0])
        return result


class ItemFeatures(nn.Module):
    """Item vectors plus the learned mean of the vectors of the item's features, such as its categories.

    The fine-grained features of Xie et al., arXiv 2112.02591 (MFN). Without features, or for an item
    that has none, the item vector alone.
    """

    causal = True

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.features = table(shape.features + 1, shape.dimension, generator, deviation=0.1) if shape.features else None

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        if self.features is None or "features" not in side:
            return vectors
        there = (side["features"] > 0).to(vectors.dtype)
        total = (self.features[side["features"]] * there[..., None]).sum(dim=2)
        return vectors + total / there.sum(dim=2, keepdim=True).clamp(min=1.0)


class Transformer(nn.Module):
    """Causal self-attention blocks with learned positions, normalised before each part.

    After Kang and McAuley, ICDM 2018 (SASRec); normalising first, and a feed-forward part of width
    4d, are the usual departures of later implementations: they train more steadily.
    """

    causal = True

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.positions = table(shape.max_length, shape.dimension, generator, deviation=0.02)
        self.scale = nn.LayerNorm(shape.dimension)
        self.blocks = nn.ModuleList([Block(shape, generator) for _ in range(shape.layers)])
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

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        width = shape.dimension
        self.heads = shape.heads
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
