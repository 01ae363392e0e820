"""Which interest answers for a target.

Hard read-out, k* = argmax_k <V_k, e_target>, after Cen et al., KDD 2020 (ComiRec, equation 6).
Label-aware attention, sum_k softmax_k(p <V_k, e_target>) V_k, after Li et al., CIKM 2019 (MIND):
p = 0 is the mean, large p the hard read-out. A departure: p multiplies the scores where the paper
raises them to the power p, which has no meaning for negative ones; both limits are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hard_readout(interests: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """The interest (P, d) with the largest inner product with its target.

    interests (P, K, d), targets (P, d), mask bool (P, K) for interests that exist, or None for all.
    The choice itself carries no gradient.
    """
    scores = torch.bmm(interests.detach(), targets.detach()[:, :, None])[:, :, 0]
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    best = scores.argmax(dim=1)
    return interests[torch.arange(len(interests), device=interests.device), best]


def label_aware(interests: Tensor, targets: Tensor, power: float) -> Tensor:
    """The blend of interests (P, d) for each target; interests (P, K, d), targets (P, d)."""
    scores = torch.bmm(interests.detach(), targets.detach()[:, :, None])
    return (torch.softmax(power * scores, dim=1) * interests).sum(dim=1)
