"""Next-item prediction from interests: the losses by name, and that of a step.

A new loss is a file in `losses/` with a function of `RankingInputs`, a line in `NEXT_ITEM_LOSSES` here, and its name
among the choices of `TrainConfig.loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eimf_core.training import negatives
from eimf_core.training.losses import full_softmax, sampled_softmax
from eimf_core.training.losses.inputs import ItemGroup, RankingInputs
from eimf_core.training.negatives import Negatives


@dataclass(frozen=True)
class RankingLoss:
    """A loss that ranks the next item, and whether it does so among sampled negatives or the whole catalogue."""

    function: Callable[[RankingInputs], Tensor]
    samples_negatives: bool


NEXT_ITEM_LOSSES = {
    "sampled": RankingLoss(sampled_softmax.loss, samples_negatives=True),
    "full": RankingLoss(full_softmax.loss, samples_negatives=False),
}


@dataclass(frozen=True)
class NextItemLoss:
    """The loss of predicting targets among what a step scores against.

    Attributes:
        function: one of `NEXT_ITEM_LOSSES`.
        unit: (R, d), item vectors of the step in unit length.
        candidates: (C, d), those of the negatives, or of the whole catalogue.
        negatives: what was drawn; None: the candidates are the whole catalogue.
        temperature: divides the cosines.
    """

    function: Callable[[RankingInputs], Tensor]
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

        Returns:
            A scalar.
        """
        device = queries.device
        if self.negatives is None:
            rows, columns, correction = np.arange(targets.items.size), targets.items - 1, None
        else:
            rows, columns = negatives.accidental(self.negatives.items, targets.items)
            correction = torch.from_numpy(self.negatives.correction).to(device)
        return self.function(
            RankingInputs(
                queries=queries / self.temperature,
                positives=self.unit.index_select(0, targets.rows),
                candidates=self.candidates,
                matches=(torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)),
                correction=correction,
                weights=weights,
                hardness=hardness,
            )
        )
