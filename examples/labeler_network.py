"""The network of the bundled labeler: llama, with rope over interleaved pairs so that the export permutes nothing.

Used by make_labeler.py, which trains it and writes it as GGUF.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

CONTEXT = 1024


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; `width` must be a multiple of 32 for Q8_0 and of 2 x heads for rope."""

    layers: int = 4
    width: int = 128
    heads: int = 4
    feed_forward: int = 352
    rope_base: float = 10_000.0
    epsilon: float = 1e-5


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, hidden = shape.width, shape.feed_forward
        self.heads = shape.heads
        self.attn_norm, self.ffn_norm = RMSNorm(width, shape.epsilon), RMSNorm(width, shape.epsilon)
        self.attn_q, self.attn_k, self.attn_v, self.attn_output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.ffn_gate, self.ffn_up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.ffn_down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, before: tuple[Tensor, Tensor] | None = None) -> Any:
        """x (B, L, width) -> the same, and its keys and values; `before` holds those of a common beginning."""
        batch, length, width = x.shape
        normed = self.attn_norm(x)

        def split(projected: Tensor) -> Tensor:
            return projected.view(batch, length, self.heads, -1).transpose(1, 2)

        q, k = _rotate(split(self.attn_q(normed)), cos, sin), _rotate(split(self.attn_k(normed)), cos, sin)
        v = split(self.attn_v(normed))
        if before is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            keys, values = (
                torch.cat((old.expand(batch, -1, -1, -1), new), dim=2) for old, new in zip(before, (k, v), strict=True)
            )
            earlier = keys.shape[2] - length
            visible = torch.ones(length, keys.shape[2], dtype=torch.bool, device=x.device).tril(earlier)
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=visible)
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(batch, length, width))
        normed = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(normed)) * self.ffn_up(normed)), (k, v)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Llama(nn.Module):
    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = RMSNorm(shape.width, shape.epsilon)
        size = shape.width // shape.heads
        angles = torch.outer(
            torch.arange(CONTEXT), shape.rope_base ** -(torch.arange(0, size, 2, dtype=torch.float32) / size)
        )
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.05)

    def forward(self, beginning: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, L, width) at the end and halfway, for tokens that follow a common beginning (1, P)."""
        first, x = self.token_embd(beginning), self.token_embd(tokens)
        at, end = beginning.shape[1], beginning.shape[1] + tokens.shape[1]
        halfway = x
        for number, block in enumerate(self.blk):
            first, before = block(first, self.cos[:at], self.sin[:at])
            x, _ = block(x, self.cos[at:end], self.sin[at:end], before)
            if number + 1 == len(self.blk) // 2:
                halfway = x
        return self.output_norm(x), halfway

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.token_embd.weight.T
