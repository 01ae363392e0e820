"""The one costly part of every softmax loss: scores of queries against many candidates.

`softplus_partition` computes, for P queries and S candidates,

    L = sum_p w_p * log(1 + exp(Z_p - s_p)),    Z_p = log sum_j exp(<q_p, c_j> + b_j)

that is -log softmax of a positive score s_p against the candidates, or, with a hardness h > 0, with
candidates that weigh more the nearer they are to the query,

    Z_p = log( sum_j exp(s_pj + b_j) r_pj ),   r_pj = exp(h s_pj) * sum_j exp(b_j) / sum_j exp(h s_pj + b_j)

where s_pj = <q_p, c_j> (see hard negatives in sampled_softmax.py). It never holds the (P, S) matrix:
blocks of queries that fit the processor's cache are scored, and their gradients taken, in one go (in
the spirit of Wijmans et al., Cut Your Losses, arXiv 2411.09009).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 1 << 18  # scores held at a time: 1 MB


def softplus_partition(
    queries: Tensor, candidates: Tensor, bias: Tensor | None, masked: tuple[Tensor, Tensor], positive: Tensor,
    weights: Tensor, hardness: float = 0.0,
) -> Tensor:  # fmt: skip
    """The sum above as a scalar, differentiable in `queries`, `candidates` and `positive`.

    queries (P, d), candidates (S, d), bias (S,) or None, positive (P,), weights (P,); `masked` is a
    pair of int64 tensors (rows sorted, columns) of scores that do not count.
    """
    loss: Tensor = _SoftplusPartition.apply(queries, candidates, bias, *masked, positive, weights, hardness)
    return loss


class _SoftplusPartition(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, queries: Tensor, candidates: Tensor, bias: Tensor | None, rows: Tensor, columns: Tensor,
        positive: Tensor, weights: Tensor, hardness: float,
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
            hits = slice(borders[number], borders[number + 1])
            masked = (rows[hits] - start, columns[hits])
            largest, total = _exponentials(score, bias, masked, hardness)
            gap = largest + total.log() - positive[block]
            loss += (functional.softplus(gap) * weights[block]).sum()
            pull = torch.sigmoid(gap) * weights[block]
            positive_grad[block] = -pull
            score *= (pull / total.clamp_min(1e-30))[:, None]
            torch.mm(score, candidates, out=query_grad[block])
            candidate_grad.addmm_(score.T, query)
        context.save_for_backward(query_grad, candidate_grad, positive_grad)
        return loss

    @staticmethod
    def backward(context: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = upstream
        query_grad, candidate_grad, positive_grad = context.saved_tensors
        return query_grad * scale, candidate_grad * scale, None, None, None, positive_grad * scale, None, None


def _exponentials(
    score: Tensor, bias: Tensor | None, masked: tuple[Tensor, Tensor], hardness: float
) -> tuple[Tensor, Tensor]:
    """Turn scores (P, S) in place into total * dZ/ds and return `largest` and `total` with Z = largest + log(total)."""
    if not hardness:
        if bias is not None:
            score += bias
        score[masked] = -torch.inf
        largest = score.amax(dim=1, keepdim=True).clamp_min_(-1e30)
        return largest[:, 0], score.sub_(largest).exp_().sum(dim=1)
    nearness = score * hardness if bias is None else torch.add(bias, score, alpha=hardness)
    nearness[masked] = -torch.inf
    score += nearness
    mass = nearness.new_ones(score.shape[1]) if bias is None else bias.exp()
    there = mass.sum() - torch.zeros_like(score[:, 0]).index_add_(0, masked[0], mass[masked[1]])
    near = nearness.amax(dim=1, keepdim=True).clamp_min_(-1e30)
    largest = score.amax(dim=1, keepdim=True).clamp_min_(-1e30)
    near_total = nearness.sub_(near).exp_().sum(dim=1)
    total = score.sub_(largest).exp_().sum(dim=1)
    score *= 1.0 + hardness
    score -= nearness.mul_((hardness * total / near_total.clamp_min(1e-30))[:, None])
    factor = there.clamp_min(0.0) / near_total.clamp_min(1e-30)
    # total and its gradient are scaled alike, so that Z = largest - near + log(total * factor)
    score *= factor[:, None]
    return largest[:, 0] - near[:, 0], total * factor
