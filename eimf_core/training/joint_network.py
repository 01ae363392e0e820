"""The networks of an ensemble's members as one network; see `eimf_core/model_members.py` for what it computes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eimf_core.models.backbone import Backbone
from eimf_core.models.parts import Output
from eimf_core.models.shape import Shape


class JointNetwork(nn.Module):
    """Backbones that read the blocks of joint item vectors, and whose interests are put side by side.

    Inputs are those of a backbone, `vectors` (B, L, d) being joint vectors, and in `side` "lengths" (B, L, M) of the
    members' own. Interests are (B, K, d), one for each choice of an interest of every member, so that K is the
    product of theirs: [sqrt(w_1) V_1 ; … ; sqrt(w_M) V_M]. Their attention (B, K, L) is the members' mean with
    these weights.
    """

    def __init__(self, members: Sequence[Backbone], weights: Sequence[float]) -> None:
        """`weights` (M) above 0, their sum 1."""
        super().__init__()
        self.members = nn.ModuleList(members)
        self._weights = list(weights)
        shapes = [member.shape for member in members]
        self._widths = [shape.dimension for shape in shapes]
        self.shape = Shape(
            dimension=sum(self._widths),
            interests=math.prod(shape.interests for shape in shapes),
            max_length=shapes[0].max_length,
            dropout=0.0,
            features=max(shape.features for shape in shapes),
            events=max(shape.events for shape in shapes),
        )
        read = dict.fromkeys(name for member in members for name in _read(member))
        self.side_inputs = (*read, "lengths")

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Output:
        """Interests (B, K, d) and {"attention": (B, K, L)}."""
        parts = vectors.split(self._widths, dim=2)
        joint, attention = vectors[:, :1, :0], torch.zeros_like(vectors[:, None, :, 0])
        for number, (member, part, weight) in enumerate(zip(self.members, parts, self._weights, strict=True)):
            own = part * (side["lengths"][:, :, number, None] / math.sqrt(weight))
            interests, auxiliary = member(own, mask, {name: side[name] for name in _read(member)})
            joint = _each_with_each(joint, math.sqrt(weight) * interests)
            before = attention[:, :, None]
            attention = (before + weight * auxiliary["attention"][:, None]).flatten(1, 2)
        return joint, {"attention": attention}


def _each_with_each(some: Tensor, others: Tensor) -> Tensor:
    """Rows (B, J * K, c + d): each of (B, J, c) beside each of (B, K, d)."""
    number, count = some.shape[1], others.shape[1]
    left = some[:, :, None].expand(-1, -1, count, -1)
    right = others[:, None].expand(-1, number, -1, -1)
    return torch.cat([left, right], dim=-1).flatten(1, 2)


def _read(member: nn.Module) -> list[str]:
    """What a member reads beside vectors and mask."""
    assert isinstance(member, Backbone)
    return [name for name in member.side_inputs if name != "features" or member.shape.features]
