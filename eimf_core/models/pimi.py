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
        for _ in range(self.rounds):
            states = self.dropout(self._mix_items(states, start, centre)) * there
            centre = self._mix_centre(centre, states, mask)
        return states + centre[:, None] * there

    def _mix_items(self, states: Tensor, start: Tensor, centre: Tensor) -> Tensor:
        around = [_before(states), states, _after(states), start, centre[:, None]]
        wanted = self.items.wanted(states)
        weights = torch.softmax(torch.stack([(vectors * wanted).sum(dim=-1) for vectors in around], dim=-1), dim=-1)
        parts = [weight[..., None] * vectors for weight, vectors in zip(weights.unbind(-1), around, strict=True)]
        mixed: Tensor = self.items(states, torch.stack(parts).sum(dim=0))
        return mixed

    def _mix_centre(self, centre: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        around = torch.cat([centre[:, None], states], dim=1)
        there = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
        weights = masked_softmax((around @ self.centre.wanted(centre)[..., None])[..., 0], there)
        mixed: Tensor = self.centre(centre, (weights[:, None] @ around)[:, 0])
        return mixed

    def _periodicity(self, mask: Tensor, days: Tensor | None) -> Tensor:
        """sum_j softmax_j(w r_(ij)) r_(ij), (B, L, d), or what stands for every item where there are no times."""
        if days is None:
            return self.intervals[0]
        # w r_(ij) is the same for all items of a bucket: it counts as often as there are such items
        counts = _items_in_buckets(mask, days)
        weighed = counts * torch.softmax(self.weighing(self.intervals)[:, 0], dim=0)
        return (weighed / weighed.sum(dim=-1, keepdim=True).clamp(min=1e-30)) @ self.intervals


def _items_in_buckets(mask: Tensor, days: Tensor) -> Tensor:
    """How many items of a history lie so far from each of its items, (B, L, BUCKETS)."""
    apart = (days[:, :, None] - days[:, None]).abs()
    buckets = (torch.log2(apart + 1.0).floor() + 1.0).clamp(max=BUCKETS - 1)
    buckets = torch.where((days[:, :, None] < 0) | (days[:, None] < 0), 0.0, buckets)
    buckets = torch.where(mask[:, None], buckets, -1.0)
    return torch.stack([(buckets == number).sum(dim=-1) for number in range(BUCKETS)], dim=-1).to(days.dtype)


def _before(vectors: Tensor) -> Tensor:
    """Of each place (B, L, d) what stands one place before it; zeros before the first."""
    return torch.cat([torch.zeros_like(vectors[:, :1]), vectors[:, :-1]], dim=1)


def _after(vectors: Tensor) -> Tensor:
    return torch.cat([vectors[:, 1:], torch.zeros_like(vectors[:, :1])], dim=1)


class Mixing(nn.Module):
    """Attention of a query to the vectors around it, with a residual connection.

    (Q q) (K x) = (q Q^T K) x, and the sum of the values V x is V times the sum: so only queries and sums are multiplied
    by matrices, not each vector around each query.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.query = linear(width, width, generator, bias=False)
        self.key = linear(width, width, generator, bias=False)
        self.value = linear(width, width, generator, bias=False)
        self.scale = nn.LayerNorm(width)

    def wanted(self, query: Tensor) -> Tensor:
        """What a vector around the query is multiplied by to give its logit.

        Args:
            query: (…, d).

        Returns:
            (…, d).
        """
        return query @ (self.query.weight.t() @ self.key.weight) / math.sqrt(query.shape[-1])

    def forward(self, query: Tensor, around: Tensor) -> Tensor:
        """The new query from the weighted sum of what is around it, both (…, d)."""
        result: Tensor = self.scale(query + torch.relu(self.value(around)))
        return result


class PIMI(Backbone):
    encoder_type = IntervalGraph
    extractor_type = AttentionHeads
    hyperparameters = PIMIHyperparameters
    side_inputs = ("days",)
