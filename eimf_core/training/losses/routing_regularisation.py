"""Routing regularisation: no single item may make an interest.

    R = mean_u sum_k ( sum_i (a_(k,i) - 1/n_u)^2 )^2

the squared variances of each interest's attention over the n_u items of a history, after Xie et al.,
RecSys 2023 (REMI, |diag(C)|_F^2 with C the covariance of the routing matrix). A departure: the mean
over the histories of a batch, not their sum, so that its weight does not depend on the batch size; a
weight w here is a published weight of w / B for batches of B histories.

A row of attention sums to 1, so that the inner sum is sum_i a^2 - 1/n_u, and the rows of all prefixes
of a sequence give it at once.
"""

from __future__ import annotations

from torch import Tensor


def routing_regularisation(attention: Tensor, lengths: Tensor) -> Tensor:
    """The mean over P histories: attention (P, K, L), zero outside the history; lengths (P,), from 1."""
    variance = attention.square().sum(dim=-1) - 1.0 / lengths[:, None]
    return variance.square().sum(dim=-1).mean()
