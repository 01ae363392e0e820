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
        return values * dropout_mask(values, self.share, self.generator)


def dropout_mask(values: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """What dropout multiplies values with.

    16 random bits decide each value, four to a draw, since a draw for each value costs more than the
    layers around it: the share is met to 1 / 65536.

    Args:
        values: of any shape.
        share: of them that becomes 0, from 0 to below 1.
        generator: is drawn from.

    Returns:
        Of the shape of the values: 0 for about `share` of them, 1 / (1 - share) for the rest.
    """
    count = values.numel()
    # drawn where the generator lives, like all other draws
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=generator.device)
    bits = bits.random_(-(1 << 63), None, generator=generator).view(torch.int16)[:count]
    staying = (bits >= round(share * 65536) - 32768).to(values.dtype)
    return staying.mul_(1.0 / (1.0 - share)).view(values.shape).to(values.device)


def linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """A linear layer with weights uniform in +-1/sqrt(inputs) and a bias of zeros.

    Args:
        inputs, outputs: its widths.
        generator: draws the weights.
        bias: whether it has one.

    Returns:
        The layer.
    """
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    bound = 1.0 / math.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if bias:
            layer.bias.zero_()
    return layer


def table(rows: int, width: int, generator: torch.Generator, *, deviation: float) -> nn.Parameter:
    """A parameter of normal values around 0.

    Args:
        rows, width: its shape.
        generator: draws the values.
        deviation: their standard deviation.

    Returns:
        (rows, width).
    """
    return nn.Parameter(torch.empty(rows, width).normal_(0.0, deviation, generator=generator))


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where a mask is true.

    Args:
        logits: (…, L).
        mask: bool, of a shape that broadcasts to theirs.

    Returns:
        (…, L); zeros in a row without any true entry.
    """
    # sums and products of numbers: filling by a mask costs several times as much
    there = mask.to(logits.dtype)
    return torch.softmax(logits + (there - 1.0) * -NEVER, dim=-1) * there


def running_softmax(logits: Tensor) -> Tensor:
    """The softmax of each prefix.

    Args:
        logits: (…, 1, L), or (…, L, L) with a row for each prefix.

    Returns:
        (…, L, L), a row for each prefix.
    """
    length = logits.shape[-1]
    later = torch.full((length, length), NEVER, dtype=logits.dtype, device=logits.device).triu_(1)
    return torch.softmax(logits + later, dim=-1)


def causal(length: int, device: torch.device) -> Tensor:
    """Which positions each position may see: its own and those before it.

    Args:
        length: L.
        device: where the mask lies.

    Returns:
        Bool (L, L): entry (t, i) is true where i is at or before t.
    """
    places = torch.arange(length, device=device)
    return places[:, None] >= places[None, :]
