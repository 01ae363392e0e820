"""Routing regularisation: no single item may make an interest.

    R = mean_u sum_k ( sum_i (a_(k,i) - 1/n_u)^2 )^2

the squared variances of each interest's attention over the n_u items of a history, after Xie et al.,
RecSys 2023 (REMI, |diag(C)|_F^2 with C the covariance of the routing matrix). A departure: the mean
over the histories of a batch, not their sum, so that its weight does not depend on the batch size; a
weight w here is a published weight of w / B for batches of B histories.

A row of attention sums to 1, so that the inner sum is sum_i a^2 - 1/n_u. The attention of a prefix of
n items is the softmax of the first n of the same logits b, so that all prefixes have it as running sums,
without their maps of attention: sum_i a_i^2 = sum_(i <= n) exp(2 b_i) / (sum_(i <= n) exp b_i)^2.
"""

from __future__ import annotations

import torch
from torch import Tensor


def routing_regularisation(logits: Tensor, wanted: Tensor) -> Tensor:
    """The mean over the prefixes of B sequences: logits (B, K, L); wanted bool (B, L), which prefixes count."""
    squares = torch.logcumsumexp(2.0 * logits, dim=-1) - 2.0 * torch.logcumsumexp(logits, dim=-1)
    lengths = torch.arange(1, logits.shape[-1] + 1, device=logits.device)
    variance = squares.exp() - 1.0 / lengths
    return (variance.square().sum(dim=1) * wanted).sum() / wanted.sum().clamp(min=1)
