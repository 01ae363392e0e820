"""Dynamic routing: items are shared out among K capsules in a few rounds. One prefix at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eimf_core.models.backbones import Shape
from eimf_core.models.layers import linear
from eimf_core.models.network import Output

ROUNDS = 3


class DynamicRouting(nn.Module):
    """K capsules: c_(k,i) = softmax_k(b_(k,i)), v_k = squash(sum_i c_(k,i) u_(k,i)), b_(k,i) += <u_(k,i), v_k>.

    `shared=False`, after Cen et al., KDD 2020 (ComiRec-DR): each capsule has a map of its own,
    u_(k,i) = S_k h_i, and b starts at 0.

    `shared=True`, after Li et al., CIKM 2019 (MIND, behaviour-to-interest routing): one map for all
    capsules, u_i = S h_i, and b starts from a matrix (K, L) of normal values, which tells the
    capsules apart. It is drawn once and kept with the weights, not drawn for each user as published,
    so that the same history always has the same interests. Departures: K is the same for all users,
    and the ReLU layers on top are left out, since they give no negative values and item vectors have
    them.

    As published, gradients flow through the last round alone.
    """

    one_pass = picks = False
    start: Tensor | None

    def __init__(self, shape: Shape, generator: torch.Generator, *, shared: bool = False) -> None:
        super().__init__()
        self.interests, self.maps_each = shape.interests, 1 if shared else shape.interests
        self.maps = linear(shape.dimension, shape.dimension * self.maps_each, generator, bias=False)
        start = torch.empty(shape.interests, shape.max_length).normal_(generator=generator) if shared else None
        self.register_buffer("start", start)

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        length = states.shape[1]
        shown = self.maps(states).unflatten(-1, (self.maps_each, -1)).transpose(1, 2)
        shown = shown.expand(-1, self.interests, -1, -1)
        fixed, there = shown.detach(), mask[:, None].to(states.dtype)
        start = states.new_zeros(self.interests, 1) if self.start is None else self.start[:, :length]
        # written so that the exported form keeps batch and length free
        logits = start + 0.0 * there
        for _ in range(ROUNDS - 1):
            weights = torch.softmax(logits, dim=1) * there
            capsules = squash((weights[:, :, None] @ fixed)[:, :, 0])
            logits = logits + (fixed @ capsules[..., None])[..., 0]
        weights = torch.softmax(logits, dim=1) * there
        interests = squash((weights[:, :, None] @ shown)[:, :, 0])
        return interests, {"attention": weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-12)}


def squash(vectors: Tensor) -> Tensor:
    """Vectors of length below 1, long ones near 1: |x|^2 / (1 + |x|^2) * x / |x|."""
    square = vectors.square().sum(dim=-1, keepdim=True)
    return vectors * (torch.sqrt(square + 1e-9) / (1.0 + square))
