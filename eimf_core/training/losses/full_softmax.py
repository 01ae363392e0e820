"""Softmax over the whole catalogue, for catalogues small enough to score in every step.

    L = -mean_p log( exp(<q_p, e_(y_p)>) / sum_j exp(<q_p, e_j>) )

the cross-entropy over all items j = 1 … N; see Klenitskiy and Vasilev, RecSys 2023, for what it
brings over sampled losses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eimf_core.training.losses.inputs import RankingInputs
from eimf_core.training.losses.interest_mixture import interest_mixture
from eimf_core.training.losses.log_partition import softplus_partition


def loss(pairs: RankingInputs) -> Tensor:
    """The loss of a step, `--loss full`: of one interest a pair, or of the mixture of all.

    Args:
        pairs: with the whole catalogue as candidates.

    Returns:
        A scalar.
    """
    if pairs.queries.dim() == 3:
        return interest_mixture(pairs.queries, pairs.positives, pairs.candidates, pairs.matches, None)
    return full_softmax(
        pairs.queries, pairs.candidates, pairs.matches[1], weights=pairs.weights, hardness=pairs.hardness
    )


def full_softmax(
    queries: Tensor, items: Tensor, targets: Tensor, *, weights: Tensor | None = None, hardness: float = 0.0
) -> Tensor:
    """The loss of P pairs against the whole catalogue.

    Args:
        queries: (P, d). Scores are inner products: scale these for a temperature.
        items: (N, d), all of the catalogue.
        targets: (P,), positions in `items`.
        weights: of the pairs, (P,); None for the mean.
        hardness: as in sampled_softmax.py.

    Returns:
        The mean, or the weighted sum, a scalar.
    """
    # -log softmax over all = softplus of (log-sum over all others) - (the target's score)
    positive = (queries * items[targets]).sum(dim=1)
    rows = torch.arange(len(targets), device=targets.device)
    if weights is None:
        weights = torch.full_like(positive, 1.0 / max(1, len(positive)))
    return softplus_partition(queries, items, None, (rows, targets), positive, weights, hardness)
