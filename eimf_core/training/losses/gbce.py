"""Generalised binary cross-entropy: each negative on its own, corrected for how few are drawn.

    L = -mean_p [ b log sigma(s_p) + sum_j log(1 - sigma(s_pj)) ],   b = a (t (1 - 1/a) + 1/a),  a = S / (N - 1)

after Petrov and Macdonald, RecSys 2023 (gSASRec): with S of N items drawn, binary cross-entropy
(t = 0, b = 1) is overconfident; t = 1 is fully calibrated.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def gbce(
    queries: Tensor, positives: Tensor, candidates: Tensor, accidental: tuple[Tensor, Tensor], *,
    items: int, calibration: float, weights: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Mean loss of P pairs, or their sum with `weights` (P,), each over S + 1 scores.

    queries (P, d), positives (P, d), candidates (S, d), drawn uniformly from `items` = N;
    accidental: int64 rows and columns that do not count; calibration t from 0 to 1.
    """
    rate = min(1.0, len(candidates) / max(1, items - 1))
    power = rate * (calibration * (1.0 - 1.0 / rate) + 1.0 / rate)
    scores = queries @ candidates.T
    counted = torch.ones_like(scores, dtype=torch.bool)
    counted[accidental] = False
    negative = (functional.softplus(scores) * counted).sum(dim=1)
    positive = functional.softplus(-(queries * positives).sum(dim=1))
    each = (power * positive + negative) / (len(candidates) + 1)
    return each.mean() if weights is None else (each * weights).sum()
