"""Alignment with prototypes: one of a user's interests meets what the user's cluster has in common.

    L_PA = -sum_u w_u log ( e^(c(u, r_u)/tau) / sum_r e^(c(u, r)/tau) ),  c(u, r) = max_k cos(v_(u,k), P_r)

P_r = g(mean text vector of the interests of cluster r) is the prototype of a cluster, r_u the cluster of
user u. Only the interest nearest to a prototype is moved, the others stay free. After the prototypes of
Li et al., ICLR 2021 (PCL), and the clusters of Qiao et al., arXiv 2411.09410; the combination is this
project's own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def prototype_alignment(
    behavioural: Tensor, prototypes: Tensor, clusters: Tensor, *, temperature: float, weights: Tensor | None = None
) -> Tensor:
    """Mean over users, or their sum with weights (B,); 0 when there is one prototype only.

    behavioural (B, K, d); prototypes (R, d); clusters int64 (B,), the row of each user's prototype.
    """
    cosines = functional.normalize(behavioural, dim=-1) @ functional.normalize(prototypes, dim=-1).T
    each = functional.cross_entropy(cosines.amax(dim=1) / temperature, clusters, reduction="none")
    return each.mean() if weights is None else torch.dot(each, weights)
