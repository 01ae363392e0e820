"""Next-item prediction from interests: the softmax of a step, over its negatives or the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eimf_core.training import negatives
from eimf_core.training.losses.full_softmax import full_softmax
from eimf_core.training.losses.inputs import ItemGroup
from eimf_core.training.losses.interest_mixture import interest_mixture
from eimf_core.training.losses.sampled_softmax import sampled_softmax
from eimf_core.training.negatives import Negatives


@dataclass(frozen=True)
class NextItemLoss:
    """The loss of predicting targets among what a step scores against.

    Attributes:
        unit: (R, d), item vectors of the step in unit length.
        candidates: (C, d), those of the negatives, or of the whole catalogue.
        negatives: what was drawn; None: the softmax is over the whole catalogue.
        temperature: divides the cosines.
    """

    unit: Tensor
    candidates: Tensor
    negatives: Negatives | None
    temperature: float

    def __call__(
        self, queries: Tensor, targets: ItemGroup, weights: Tensor | None = None, hardness: float = 0.0
    ) -> Tensor:
        """Mean loss of P pairs.

        Args:
            queries: (P, d), the interests that answer for the targets, in unit length; or (P, K, d) where all
                interests of a user answer together, with equal weights and no hardness.
            targets: (P,), the next items.
            weights: (P,) of the pairs, their sum 1; None for equal ones.
            hardness: of interest-aware negatives, see `losses/sampled_softmax.py`.
        """
        positives, device = self.unit.index_select(0, targets.rows), queries.device
        queries = queries / self.temperature
        if self.negatives is None:
            numbers = torch.from_numpy(targets.items - 1).to(device)
            if queries.dim() == 3:
                rows = torch.arange(len(numbers), device=device)
                return interest_mixture(queries, positives, self.candidates, (rows, numbers), None)
            return full_softmax(queries, self.candidates, numbers, weights=weights, hardness=hardness)
        hits = negatives.accidental(self.negatives.items, targets.items)
        accidental = (torch.from_numpy(hits[0]).to(device), torch.from_numpy(hits[1]).to(device))
        if queries.dim() == 3:
            # uniform negatives: all corrections are alike
            log_ratio = float(self.negatives.correction[0])
            return interest_mixture(queries, positives, self.candidates, accidental, log_ratio)
        correction = torch.from_numpy(self.negatives.correction).to(device)
        return sampled_softmax(
            queries, positives, self.candidates, correction, accidental, weights=weights, hardness=hardness
        )
