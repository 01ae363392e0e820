"""The networks of an ensemble's members as one network; `model_directory/model_members.py` says what it computes."""

from __future__ import annotations

import itertools
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
        # which interest of each member is in each of the joint ones: of the last member they change fastest
        choices = itertools.product(*(range(shape.interests) for shape in shapes))
        self._chosen = torch.tensor(list(choices)).unbind(dim=1)
        read = dict.fromkeys(name for member in members for name in _read(member))
        self.side_inputs = (*read, "lengths")

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Output:
        """Interests (B, K, d) and {"attention": (B, K, L)}."""
        parts = vectors.split(self._widths, dim=2)
        joint, attention = [], []
        for number, (member, part, weight) in enumerate(zip(self.members, parts, self._weights, strict=True)):
            own = part * (side["lengths"][:, :, number, None] / math.sqrt(weight))
            interests, auxiliary = member(own, mask, {name: side[name] for name in _read(member)})
            chosen = self._chosen[number].to(vectors.device)
            joint.append((math.sqrt(weight) * interests).index_select(1, chosen))
            attention.append((weight * auxiliary["attention"]).index_select(1, chosen))
        return torch.cat(joint, dim=2), {"attention": sum(attention[1:], attention[0])}


def _read(member: nn.Module) -> list[str]:
    """What a member reads beside vectors and mask."""
    assert isinstance(member, Backbone)
    return [name for name in member.side_inputs if name != "features" or member.shape.features]
