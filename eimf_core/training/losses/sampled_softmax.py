"""Softmax over the target and sampled negatives that the whole batch shares.

    L = -mean_p log( exp(s_p) / (exp(s_p) + sum_j exp(<q_p, c_j> - log(S Q_j))) ),  s_p = <q_p, e_p>

after Jean et al., ACL 2015, and Bengio and Senecal, 2008: with Q_j the probability that one draw
gives candidate j, and S draws, the sum is an unbiased estimate of the softmax' partition function
over all items but the target. The target is not drawn, so its score is not corrected. A negative
that is the target of a row (an accidental positive) does not count in this row.

With a hardness h > 0 a negative counts exp(h <q_p, c_j>) over the mean of that factor: the negatives
that this interest finds near count more (interest-aware hard negatives, Xie et al., RecSys 2023,
REMI; their beta is h, on scores after the temperature). The correction stays: the mean is over
candidates weighted by 1 / (S Q_j), so that h = 0 is the softmax above.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eimf_core.training.losses.inputs import RankingInputs
from eimf_core.training.losses.interest_mixture import interest_mixture
from eimf_core.training.losses.log_partition import softplus_partition


def loss(pairs: RankingInputs) -> Tensor:
    """The loss of a step, `--loss sampled`: of one interest a pair, or of the mixture of all.

    Args:
        pairs: with sampled negatives.

    Returns:
        A scalar.
    """
    assert pairs.correction is not None
    if pairs.queries.dim() == 3:
        # uniform negatives: all corrections are alike
        return interest_mixture(
            pairs.queries, pairs.positives, pairs.candidates, pairs.matches, float(pairs.correction[0])
        )
    return sampled_softmax(
        pairs.queries, pairs.positives, pairs.candidates, pairs.correction, pairs.matches,
        weights=pairs.weights, hardness=pairs.hardness,
    )  # fmt: skip


def sampled_softmax(
    queries: Tensor, positives: Tensor, candidates: Tensor, correction: Tensor | None,
    accidental: tuple[Tensor, Tensor], *, weights: Tensor | None = None, hardness: float = 0.0,
) -> Tensor:  # fmt: skip
    """The loss of P pairs against sampled candidates.

    Args:
        queries: the interest read out for each target, (P, d). Scores are inner products: scale it for a temperature.
        positives: the targets' vectors, (P, d).
        candidates: (S, d).
        correction: -log(S Q_j), (S,), or None.
        accidental: rows (sorted) and columns where a candidate is the target, int64.
        weights: of the pairs, (P,); None for the mean.
        hardness: how much more negatives count that are near the query.

    Returns:
        The mean, or the weighted sum, a scalar.
    """
    positive = (queries * positives).sum(dim=1)
    if weights is None:
        weights = torch.full_like(positive, 1.0 / max(1, len(positive)))
    return softplus_partition(queries, candidates, correction, accidental, positive, weights, hardness)
