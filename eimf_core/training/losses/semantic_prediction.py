"""Semantic prediction: the semantic interests alone predict the user's next item.

    L_SP = the behavioural loss with S_u = g(t_u) in the place of V_u

after Qiao et al., arXiv 2411.09410 (this project's reading): it ties the adapter g to the item
space and lets the item table learn from language.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from eimf_core.models.readout import hard_readout


def semantic_queries(interests: Tensor, mask: Tensor, targets: Tensor) -> Tensor:
    """The semantic interest (P, d) that answers for each target, ready for a softmax loss.

    interests (P, M, d), semantic interests of the labelled users; mask bool (P, M), which exist;
    targets (P, d), vectors of the items to predict.
    """
    return hard_readout(functional.normalize(interests, dim=-1), targets, mask)
