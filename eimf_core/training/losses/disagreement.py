"""Disagreement: interests of a user are told apart by their cosines.

    D = mean_u mean_(k < l) cos(V_(u,k), V_(u,l))

after the auxiliary loss of Xie et al., arXiv 2112.02591 (MFN), "to boost the distinction of the
interest representations" (this project's reading of it).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def disagreement(interests: Tensor) -> Tensor:
    """The mean over P users; interests (P, K, d). 0 where there is one interest only."""
    count = interests.shape[1]
    if count == 1:
        return interests.sum() * 0.0
    unit = functional.normalize(interests, dim=-1)
    square = unit.sum(dim=1).square().sum(dim=-1)
    return ((square - count) / (count * (count - 1))).mean()
