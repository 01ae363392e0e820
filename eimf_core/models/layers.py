"""Small parts that encoders and extractors share. All randomness comes from a passed generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# added to a logit that must not count; finite, so that a row without any item gives zeros, not NaN
NEVER = -1e30


class Dropout(nn.Module):
    """Zeroes a share of the values while training and scales up the rest, from its own generator."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share = share
        self.generator = generator

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.share == 0.0:
            return values
        kept = torch.empty_like(values).bernoulli_(1.0 - self.share, generator=self.generator)
        return values * kept.div_(1.0 - self.share)


def linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """A linear layer with weights uniform in +-1/sqrt(inputs) and a bias of zeros."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    bound = 1.0 / math.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if bias:
            layer.bias.zero_()
    return layer


def table(rows: int, width: int, generator: torch.Generator, *, deviation: float) -> nn.Parameter:
    """A parameter (rows, width) of normal values."""
    return nn.Parameter(torch.empty(rows, width).normal_(0.0, deviation, generator=generator))


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is true; a row without any true entry gives zeros."""
    weights = torch.softmax(logits.masked_fill(~mask, NEVER), dim=-1)
    return weights * mask


def causal(length: int, device: torch.device) -> Tensor:
    """Bool (L, L): entry (t, i) is true where i is at or before t."""
    places = torch.arange(length, device=device)
    return places[:, None] >= places[None, :]
