"""The one costly part of every softmax loss: scores of queries against many candidates.

`softplus_partition` computes, for P queries and S candidates,

    L = sum_p w_p * log(1 + exp(Z_p - s_p)),    Z_p = log sum_j exp(<q_p, c_j> + b_j)

that is -log softmax of a positive score s_p against the candidates, without ever holding the
(P, S) matrix: blocks of queries that fit the processor's cache are scored, and their gradients
taken, in one go (in the spirit of Wijmans et al., Cut Your Losses, arXiv 2411.09009).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 1 << 18  # scores held at a time: 1 MB


def softplus_partition(
    queries: Tensor, candidates: Tensor, bias: Tensor | None, masked: tuple[Tensor, Tensor], positive: Tensor,
    weights: Tensor,
) -> Tensor:  # fmt: skip
    """The sum above as a scalar, differentiable in `queries`, `candidates` and `positive`.

    queries (P, d), candidates (S, d), bias (S,) or None, positive (P,), weights (P,); `masked` is a
    pair of int64 tensors (rows sorted, columns) of scores that do not count.
    """
    loss: Tensor = _SoftplusPartition.apply(queries, candidates, bias, *masked, positive, weights)
    return loss


class _SoftplusPartition(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, queries: Tensor, candidates: Tensor, bias: Tensor | None, rows: Tensor, columns: Tensor,
        positive: Tensor, weights: Tensor,
    ) -> Tensor:  # fmt: skip
        count = len(queries)
        size = max(1, BLOCK // max(1, len(candidates)))
        loss = queries.new_zeros(())
        query_grad, positive_grad = torch.empty_like(queries), torch.empty_like(positive)
        candidate_grad = torch.zeros_like(candidates)
        scores = queries.new_empty(min(size, count), len(candidates))
        borders = torch.searchsorted(rows, torch.arange(0, count + size, size)).tolist()
        for number, start in enumerate(range(0, count, size)):
            block = slice(start, min(start + size, count))
            query = queries[block]
            score = torch.mm(query, candidates.T, out=scores[: len(query)])
            if bias is not None:
                score += bias
            hits = slice(borders[number], borders[number + 1])
            score[rows[hits] - start, columns[hits]] = -torch.inf
            largest = score.amax(dim=1, keepdim=True).clamp_min_(-1e30)
            total = score.sub_(largest).exp_().sum(dim=1)
            gap = largest[:, 0] + total.log() - positive[block]
            loss += (functional.softplus(gap) * weights[block]).sum()
            pull = torch.sigmoid(gap) * weights[block]
            positive_grad[block] = -pull
            score *= (pull / total.clamp_min_(1e-30))[:, None]
            torch.mm(score, candidates, out=query_grad[block])
            candidate_grad.addmm_(score.T, query)
        context.save_for_backward(query_grad, candidate_grad, positive_grad)
        return loss

    @staticmethod
    def backward(context: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = upstream
        query_grad, candidate_grad, positive_grad = context.saved_tensors
        return query_grad * scale, candidate_grad * scale, None, None, None, positive_grad * scale, None
