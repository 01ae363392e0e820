"""The one costly part of every softmax loss: scores of queries against many candidates.

`softplus_partition` computes, for P queries and S candidates,

    L = sum_p w_p * log(1 + exp(Z_p - s_p)),    Z_p = log sum_j exp(<q_p, c_j> + b_j)

that is -log softmax of a positive score s_p against the candidates, or, with a hardness h > 0, with
candidates that weigh more the nearer they are to the query,

    Z_p = log( sum_j exp(s_pj + b_j) r_pj ),   r_pj = exp(h s_pj) * sum_j exp(b_j) / sum_j exp(h s_pj + b_j)

where s_pj = <q_p, c_j> (see hard negatives in sampled_softmax.py). It never holds the (P, S) matrix:
blocks of queries that fit the processor's cache are scored, and their gradients taken, in one go (in
the spirit of Wijmans et al., Cut Your Losses, arXiv 2411.09009).

Little is done to a block but three products: exp(b_j) is a weight on the candidates, what scales a row
is a weight on its query, and no maximum is taken where the lengths of the vectors bound the scores.
Powers are of two, which are a third of the cost of exp.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 1 << 18  # scores held at a time: 1 MB
LOG2E = 1.0 / math.log(2.0)
# scores are safe as exponents of two between -SAFE and SAFE
SAFE = 60.0


def softplus_partition(
    queries: Tensor, candidates: Tensor, bias: Tensor | None, masked: tuple[Tensor, Tensor], positive: Tensor,
    weights: Tensor, hardness: float = 0.0,
) -> Tensor:  # fmt: skip
    """The sum above, differentiable in `queries`, `candidates` and `positive`.

    Args:
        queries: q, (P, d).
        candidates: c, (S, d).
        bias: b, (S,), or None.
        masked: rows (sorted) and columns of scores that do not count, int64.
        positive: s, (P,).
        weights: w, (P,).
        hardness: h.

    Returns:
        L, a scalar.
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
        mass = None if bias is None else bias.exp()
        weighted = candidates if mass is None else candidates * mass[:, None]
        scaled = queries * LOG2E
        bounded = longest(scaled) * longest(candidates) * (1.0 + hardness) <= SAFE
        loss = queries.new_zeros(())
        query_grad, positive_grad = torch.empty_like(queries), torch.empty_like(positive)
        candidate_grad = torch.zeros_like(candidates)
        scores = queries.new_empty(min(size, count), len(candidates))
        borders = torch.searchsorted(rows, torch.arange(0, count + size, size, device=rows.device)).tolist()
        for number, start in enumerate(range(0, count, size)):
            block = slice(start, min(start + size, count))
            score = torch.mm(scaled[block], candidates.T, out=scores[: block.stop - start])
            hits = slice(borders[number], borders[number + 1])
            masked = (rows[hits] - start, columns[hits])
            partition, scale = _exponentials(score, mass, masked, hardness, bounded=bounded)
            gap = partition - positive[block]
            loss += (functional.softplus(gap) * weights[block]).sum()
            pull = torch.sigmoid(gap) * weights[block]
            positive_grad[block] = -pull
            pull = (pull * scale)[:, None]
            torch.mm(score, weighted, out=query_grad[block]).mul_(pull)
            candidate_grad.addmm_(score.T, queries[block] * pull)
        if mass is not None:
            candidate_grad *= mass[:, None]
        context.save_for_backward(query_grad, candidate_grad, positive_grad)
        return loss

    @staticmethod
    def backward(context: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = upstream
        query_grad, candidate_grad, positive_grad = context.saved_tensors
        return query_grad * scale, candidate_grad * scale, None, None, None, positive_grad * scale, None, None


def longest(vectors: Tensor) -> float:
    """The largest length of some vectors.

    Args:
        vectors: (n, d).

    Returns:
        The length, 0 where there are none.
    """
    return float(vectors.square().sum(dim=1).max().sqrt()) if len(vectors) else 0.0


def _exponentials(
    score: Tensor, mass: Tensor | None, masked: tuple[Tensor, Tensor], hardness: float, *, bounded: bool
) -> tuple[Tensor, Tensor]:
    """Z (P,) of a block, and its gradient: in the place of the scores / log 2 (P, S), g with
    dZ_p/ds_pj = scale_p * mass_j * g_pj, and the scale (P,).

    `mass` (S,) are the exp(b_j), None for ones; `bounded`: no power of two of (1 + h) scores overflows
    or vanishes.
    """
    score[masked] = -torch.inf
    largest = torch.zeros_like(score[:, 0])
    if not bounded:
        # finite, so that a row without any candidate gives zeros, not NaN
        largest = score.amax(dim=1).clamp_min_(-1e30)
        score -= largest[:, None]
    if not hardness:
        total = _mass(score.exp2_(), mass)
        return (largest + total.log2()) / LOG2E, 1.0 / total.clamp_min(1e-30)
    near = torch.mul(score, hardness).exp2_()
    if hardness == 1.0:
        torch.mul(near, near, out=score)
    else:
        score.mul_(1.0 + hardness).exp2_()
    total, near_total = _mass(score, mass), _mass(near, mass).clamp_min(1e-30)
    each = score.new_ones(score.shape[1]) if mass is None else mass
    there = each.sum() - torch.zeros_like(total).index_add_(0, masked[0], each[masked[1]])
    factor = there.clamp_min(0.0) / near_total
    partition = (largest + (total * factor).log2()) / LOG2E
    scale = 1.0 / total.clamp_min(1e-30)
    # log Z' = (1 + h) g_total / total - h g_near / near_total
    score *= 1.0 + hardness
    score.addcmul_(near, (hardness * total / near_total)[:, None], value=-1.0)
    return partition, scale


def _mass(values: Tensor, mass: Tensor | None) -> Tensor:
    return values.sum(dim=1) if mass is None else values @ mass
