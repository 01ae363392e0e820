"""Predicting the next item from interests: the softmax of a step, over its negatives or the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eimf_core.training import negatives
from eimf_core.training.config import TrainConfig
from eimf_core.training.losses.full_softmax import full_softmax
from eimf_core.training.losses.sampled_softmax import sampled_softmax
from eimf_core.training.negatives import Negatives

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prediction:
    """The loss of predicting targets among what a step scores against.

    `scored` (R, d) are the item vectors of the step in unit length; `candidates` (C, d) those of the negatives
    `drawn`, or of the whole catalogue where the softmax is `full`.
    """

    settings: TrainConfig
    scored: Tensor
    candidates: Tensor
    drawn: Negatives
    full: bool

    def loss(
        self, queries: Tensor, targets: Ints, at: Tensor, weights: Tensor | None = None, hardness: float = 0.0
    ) -> Tensor:
        """Mean loss of queries (P, d) whose targets are the items `targets` (P,), rows `at` (P,) of `scored`.

        `weights` (P,) weigh the pairs, their sum 1; `hardness` is that of interest-aware negatives.
        """
        settings, wanted, device = self.settings, self.scored.index_select(0, at), queries.device
        queries = queries / settings.temperature
        if self.full:
            numbers = torch.from_numpy(targets - 1).to(device)
            return full_softmax(queries, self.candidates, numbers, weights=weights, hardness=hardness)
        rows, columns = negatives.accidental(self.drawn.items, targets)
        hits = (torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device))
        correction = torch.from_numpy(self.drawn.correction).to(device)
        return sampled_softmax(queries, wanted, self.candidates, correction, hits, weights=weights, hardness=hardness)
