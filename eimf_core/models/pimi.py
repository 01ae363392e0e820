"""PIMI: ComiRec-SA on a history as a graph, whose items see how long before and after each other they came.

Paper: Chen et al., Exploring Periodicity and Interactivity in Multi-Interest Framework for Sequential Recommendation,
IJCAI 2021.
Differs: intervals fall into buckets of doubling length instead of days up to a limit; attention in the graph has one
head; attention over it knows how recent an item is, as in comirec_sa.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eimf_core.models.backbone import Backbone
from eimf_core.models.comirec_sa import AttentionHeads, AttentionHyperparameters
from eimf_core.models.hyperparameters import hyperparameter
from eimf_core.models.layers import Dropout, linear, masked_softmax, table
from eimf_core.models.parts import Encoder
from eimf_core.models.shape import Shape

BUCKETS = 14  # bucket 0: unknown; bucket b: under 2^(b - 1) days, the last one anything longer


@dataclass(frozen=True)
class PIMIHyperparameters(AttentionHyperparameters):
    rounds: int = hyperparameter(2, "Rounds of mixing along the sequence and through the centre.", low=1)


class IntervalGraph(Encoder):
    """Items joined by their time intervals, then mixed along the sequence and through a centre.

    Periodicity: r_(ij) is the learned vector of the interval between items i and j, and item i gains
    sum_j softmax_j(w r_(ij)) r_(ij). Interactivity: in each round an item attends to its neighbours,
    itself, its first state and the centre; the centre attends to itself and all items.

    Without times every interval is the "unknown" one. Not causal: the centre of a prefix knows the whole prefix, so
    that prefixes are read one at a time.
    """

    hyperparameters = PIMIHyperparameters
    causal = False

    def __init__(self, shape: Shape, hyperparameters: PIMIHyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        width, self.rounds = shape.dimension, hyperparameters.rounds
        self.intervals = table(BUCKETS, width, generator, deviation=0.1)
        self.weighing = linear(width, 1, generator, bias=False)
        self.positions = table(shape.max_length, width, generator, deviation=0.02)
        self.items, self.centre = Mixing(width, generator), Mixing(width, generator)
        self.dropout = Dropout(shape.dropout, generator)

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        there = mask[..., None].to(vectors.dtype)
        start = (vectors + self._periodicity(mask, side.get("days")) + self.positions[: mask.shape[1]]) * there
        states, centre = start, start.sum(dim=1) / there.sum(dim=1).clamp(min=1.0)
        nothing = torch.zeros_like(states[:, :1])
        everyone = torch.ones_like(mask[:, :1])
        for _ in range(self.rounds):
            before = torch.cat([nothing, states[:, :-1]], dim=1)
            after = torch.cat([states[:, 1:], nothing], dim=1)
            around = torch.stack([before, states, after, start, centre[:, None].expand_as(states)], dim=2)
            states = self.dropout(self.items(states, around, torch.ones_like(around[..., 0], dtype=torch.bool)))
            states = states * there
            whole = torch.cat([centre[:, None], states], dim=1)
            centre = self.centre(centre, whole, torch.cat([everyone, mask], dim=1))
        return states + centre[:, None] * there

    def _periodicity(self, mask: Tensor, days: Tensor | None) -> Tensor:
        buckets = torch.zeros_like(mask[:, :, None] & mask[:, None], dtype=torch.int64)
        if days is not None:
            apart = (days[:, :, None] - days[:, None]).abs()
            found = (torch.log2(apart + 1.0).floor() + 1.0).clamp(max=BUCKETS - 1).to(torch.int64)
            buckets = torch.where((days[:, :, None] < 0) | (days[:, None] < 0), buckets, found)
        weights = masked_softmax(self.weighing(self.intervals)[:, 0][buckets], mask[:, None].expand_as(buckets))
        # summed by bucket first: L x L vectors would be large
        shares = torch.stack([(weights * (buckets == number)).sum(dim=-1) for number in range(BUCKETS)], dim=-1)
        return shares @ self.intervals


class Mixing(nn.Module):
    """Attention of a query (…, d) over what is around it (…, n, d), with a residual connection."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.query = linear(width, width, generator, bias=False)
        self.key = linear(width, width, generator, bias=False)
        self.value = linear(width, width, generator, bias=False)
        self.scale = nn.LayerNorm(width)

    def forward(self, query: Tensor, around: Tensor, mask: Tensor) -> Tensor:
        logits = (self.key(around) @ self.query(query)[..., None])[..., 0] / math.sqrt(query.shape[-1])
        mixed = (masked_softmax(logits, mask)[..., None, :] @ self.value(around))[..., 0, :]
        result: Tensor = self.scale(query + torch.relu(mixed))
        return result


class PIMI(Backbone):
    encoder_type = IntervalGraph
    extractor_type = AttentionHeads
    hyperparameters = PIMIHyperparameters
    side_inputs = ("days",)
