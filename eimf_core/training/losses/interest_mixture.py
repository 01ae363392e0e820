"""Softmax over all pairs of an interest and an item, so that the interests of a user answer together.

    L = -mean_p log( sum_k exp(<q_pk, e_p>) / sum_k ( exp(<q_pk, e_p>) + sum_j exp(<q_pk, c_kj> + b) ) )

a mixture of the K softmaxes, each weighted by its partition function (Yang et al., ICLR 2018, with weights that need
no parameters). An item is scored by its best interest when a user is served, and the logarithm of a sum of powers is
close to their maximum: what is trained is what answers. With the nearest interest alone the others are never held back
from items that do not come next.

Sampled negatives are shared out among the interests, so that K interests cost what one does: each sum over j is an
unbiased estimate from its own share. Over the whole catalogue every interest sees every item.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.training.losses import log_partition
from eimf_core.training.losses.log_partition import LOG2E, SAFE, longest


def interest_mixture(
    interests: Tensor, positives: Tensor, candidates: Tensor, accidental: tuple[Tensor, Tensor],
    correction: float | None,
) -> Tensor:  # fmt: skip
    """Mean loss of P pairs of a history and a target.

    Args:
        interests: (P, K, d). Scores are inner products: scale these for a temperature.
        positives: (P, d), the targets' vectors.
        candidates: (S, d), sampled negatives, or all items.
        accidental: int64 rows (sorted) and columns where a candidate is the target.
        correction: log(N / S) for S uniform negatives of N items; None for the whole catalogue.

    Returns:
        A scalar.
    """
    number, count = interests.shape[1], len(candidates)
    rows, columns = accidental
    if correction is None:
        shares = torch.arange(count, device=columns.device).expand(number, -1)
        places = columns[:, None] + count * torch.arange(number, device=columns.device)
        bias = 0.0
    else:
        # candidate j goes to interest j mod K; the first ones fill up the last shares
        each = -(-count // number)
        shares = (torch.arange(number * each, device=columns.device) % count).view(each, number).T
        dealt = columns[:, None] + torch.arange(0, number * each, count, device=columns.device)
        places = torch.where(dealt < number * each, dealt % number * each + dealt // number, -1)
        bias = correction + math.log(count / each)
    kept = places >= 0
    masked = (rows[:, None].expand_as(places)[kept], places[kept])
    positive = torch.logsumexp((interests @ positives[:, :, None])[..., 0], dim=1)
    dealt_out = functional.embedding(shares, candidates)
    loss: Tensor = _Mixture.apply(interests, dealt_out, bias, *masked, positive)
    return loss


class _Mixture(torch.autograd.Function):
    """mean_p softplus(Z_p - s_p), Z_p = log sum_k sum_j exp(<q_pk, c_kj> + b), in blocks as in log_partition.py."""

    @staticmethod
    def forward(
        context: Any, interests: Tensor, candidates: Tensor, bias: float, rows: Tensor, columns: Tensor,
        positive: Tensor,
    ) -> Tensor:  # fmt: skip
        count, (number, each, _) = len(interests), candidates.shape
        size = max(1, log_partition.BLOCK // max(1, number * each))
        queries = interests.transpose(0, 1).contiguous()
        scaled, turned = queries * LOG2E, candidates.transpose(1, 2)
        bounded = longest(scaled.flatten(0, 1)) * longest(candidates.flatten(0, 1)) <= SAFE
        loss = interests.new_zeros(())
        query_grad, positive_grad = torch.empty_like(queries), torch.empty_like(positive)
        candidate_grad = torch.zeros_like(candidates)
        borders = torch.searchsorted(rows, torch.arange(0, count + size, size, device=rows.device)).tolist()
        for step, start in enumerate(range(0, count, size)):
            block = slice(start, min(start + size, count))
            hits = slice(borders[step], borders[step + 1])
            score = torch.bmm(scaled[:, block], turned)
            score[columns[hits] // each, rows[hits] - start, columns[hits] % each] = -torch.inf
            largest = torch.zeros_like(positive[block])
            if not bounded:
                # finite, so that a row without any candidate gives zeros, not NaN
                largest = score.amax(dim=(0, 2)).clamp_min_(-1e30)
                score -= largest[:, None]
            total = score.exp2_().sum(dim=(0, 2))
            gap = (largest + total.log2()) / LOG2E + bias - positive[block]
            loss += functional.softplus(gap).sum() / count
            pull = torch.sigmoid(gap) / count
            positive_grad[block] = -pull
            pull = (pull / total.clamp_min(1e-30))[:, None]
            query_grad[:, block] = torch.bmm(score, candidates).mul_(pull)
            candidate_grad.baddbmm_(score.transpose(1, 2), queries[:, block] * pull)
        context.save_for_backward(query_grad.transpose(0, 1), candidate_grad, positive_grad)
        return loss

    @staticmethod
    def backward(context: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = upstream
        query_grad, candidate_grad, positive_grad = context.saved_tensors
        return query_grad * scale, candidate_grad * scale, None, None, None, positive_grad * scale
