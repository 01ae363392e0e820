"""Self-distillation: a user's interests move towards the mean interests of similar users.

    L_SD = mean_u mean_k | V_(u,k) - mean_n V_(n,k) |^2,   n over the users who are similar to u

No gradient goes to the similar users. After Liu et al., NeurIPS 2024, arXiv 2405.20646 (LLM-ESR), where
a user is one vector; here interest k of one user answers to interest k of another, since heads and
capsules are the same for all (this project's reading). Where similar users disagree their mean is
short, and pulls little.
"""

from __future__ import annotations

from torch import Tensor


def self_distillation(interests: Tensor, similar: Tensor) -> Tensor:
    """The mean over users and interests.

    Args:
        interests: (B, K, d).
        similar: the interests of similar users, (B, n, K, d); no gradient passes through them.

    Returns:
        A scalar.
    """
    return (interests - similar.detach().mean(dim=1)).square().sum(dim=-1).mean()
