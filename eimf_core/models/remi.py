"""REMI: ComiRec-SA with interest-aware hard negatives, and routing that no single item may rule.

Paper: Xie et al., Rethinking Multi-Interest Learning for Candidate Matching in Recommender Systems, RecSys 2023.
Differs: the routing loss is a mean over the histories of a batch, not their sum, so that its weight does not depend
on the batch size (a weight w here is a published one of w / B); attention knows how recent an item is, as in
comirec_sa.py. The hard negatives are described in training/losses/sampled_softmax.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eimf_core.models.backbone import Backbone, TrainingStep
from eimf_core.models.comirec_sa import AttentionHeads, AttentionHyperparameters
from eimf_core.models.hyperparameters import hyperparameter


@dataclass(frozen=True)
class REMIHyperparameters(AttentionHyperparameters):
    hardness: float = hyperparameter(
        1.0, "How much more near negatives count (beta in the paper); 0: all alike.", low=0
    )
    routing_weight: float = hyperparameter(1.0, "Weight of the routing regularisation.", low=0)


class REMI(Backbone):
    extractor_type = AttentionHeads
    hyperparameters = REMIHyperparameters
    own: REMIHyperparameters

    @property
    def negative_hardness(self) -> float:
        return self.own.hardness

    def auxiliary_losses(self, step: TrainingStep) -> dict[str, Tensor]:
        if not self.own.routing_weight or step.logits is None:
            return {}
        return {"routing": self.own.routing_weight * routing_regularisation(step.logits, step.predicted)}


def routing_regularisation(logits: Tensor, wanted: Tensor) -> Tensor:
    """The squared variances of each interest's attention, R = mean_u sum_k ( sum_i (a_(k,i) - 1/n_u)^2 )^2.

    |diag(C)|_F^2 of the paper, with C the covariance of the routing matrix over the n_u items of a history. A row of
    attention sums to 1, so that the inner sum is sum_i a^2 - 1/n_u. The attention of a prefix of n items is the
    softmax of the first n of the same logits b, so that all prefixes have it as running sums, without their maps of
    attention: sum_i a_i^2 = sum_(i <= n) exp(2 b_i) / (sum_(i <= n) exp b_i)^2.

    Args:
        logits: of the attention over B sequences, (B, K, L).
        wanted: bool (B, L), which prefixes count.

    Returns:
        The mean over the prefixes that count.
    """
    squares = torch.logcumsumexp(2.0 * logits, dim=-1) - 2.0 * torch.logcumsumexp(logits, dim=-1)
    lengths = torch.arange(1, logits.shape[-1] + 1, device=logits.device)
    variance = squares.exp() - 1.0 / lengths
    return (variance.square().sum(dim=1) * wanted).sum() / wanted.sum().clamp(min=1)
