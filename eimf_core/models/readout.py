"""Which interest answers for a target."""

from __future__ import annotations

import torch
from torch import Tensor


def hard_readout(interests: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """The interest with the largest inner product with its target, k* = argmax_k <V_k, e_target>.

    Args:
        interests: (P, K, d).
        targets: (P, d), item vectors as scores see them.
        mask: bool (P, K), which interests there are, or None for all.

    Returns:
        (P, d). The choice itself carries no gradient.

    Source:
        Cen et al., KDD 2020 (ComiRec), equation 6.
    """
    scores = torch.bmm(interests.detach(), targets.detach()[:, :, None])[:, :, 0]
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    best = scores.argmax(dim=1)
    return interests[torch.arange(len(interests), device=interests.device), best]
