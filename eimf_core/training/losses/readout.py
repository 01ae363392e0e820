"""Which interest answers for a target: k* = argmax_k <V_k, e_target> (hard read-out).

After Li et al., CIKM 2019 (MIND, its label-aware attention in the limit), and Cen et al., KDD 2020
(ComiRec, equation 6).
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
