"""DESMIL: ComiRec-SA on pairs that are weighted so that the interests of a user are independent (stable learning).

Paper: Liu et al., Deep Stable Multi-Interest Learning for Out-of-distribution Sequential Recommendation, 2022,
arXiv 2207.06652.
Differs: the weights are found anew in every step, by a few steps of gradient descent from equal ones; attention knows
how recent an item is, as in comirec_sa.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eimf_core.models.backbone import Backbone
from eimf_core.models.comirec_sa import AttentionHeads, AttentionHyperparameters
from eimf_core.models.hyperparameters import hyperparameter

STEPS, RATE, LARGEST = 3, 1.0, 3.0


@dataclass(frozen=True)
class DESMILHyperparameters(AttentionHyperparameters):
    random_features: int = hyperparameter(16, "Random features that independence is measured on.", low=1)


class DESMIL(Backbone):
    extractor_type = AttentionHeads
    hyperparameters = DESMILHyperparameters
    own: DESMILHyperparameters

    @property
    def selects_interest(self) -> bool:
        """Training looks at all interests, not only at the one that answers."""
        return False

    def pair_weights(self, interests: Tensor | None) -> Tensor | None:
        if interests is None or interests.shape[1] == 1 or len(interests) < 2:
            return None
        # drawn where the generator lives
        at = self.generator.device
        count = self.own.random_features
        frequencies = torch.empty(interests.shape[-1], count, device=at)
        frequencies.normal_(generator=self.generator)
        phases = torch.empty(count, device=at).uniform_(0.0, 2.0 * torch.pi, generator=self.generator)
        return independent_weights(interests, frequencies.to(interests), phases.to(interests)) / len(interests)


def independent_weights(interests: Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
    """Weights of the pairs under which their interests are independent of each other.

        w = argmin sum_(k < l) | cov_w(f(V_k), f(V_l)) |_F^2,   f(v) = sqrt(2/m) cos(F v + b)

    the Hilbert-Schmidt independence criterion on m random features of a Gaussian kernel (Rahimi and Recht, 2007).
    The prediction loss is weighted by w, so that what holds only because interests go together counts less.

    Args:
        interests: (P, K, d).
        frequencies: F transposed, (d, m).
        phases: b, (m,).

    Returns:
        (P,), their mean 1, at most LARGEST before that; no gradient.
    """
    features = (2.0 / len(phases)) ** 0.5 * torch.cos(interests.detach() @ frequencies + phases)
    logits = torch.zeros(len(interests), dtype=interests.dtype, device=interests.device)
    with torch.enable_grad():
        for _ in range(STEPS):
            logits.requires_grad_()
            loss = dependence(features, torch.softmax(logits, dim=0))
            (gradient,) = torch.autograd.grad(loss, logits)
            scale = gradient.norm().clamp(min=1e-12) / len(logits) ** 0.5
            logits = (logits - RATE * gradient / scale * 0.1).detach()
    weights = (torch.softmax(logits, dim=0) * len(logits)).clamp(max=LARGEST)
    return weights / weights.mean()


def dependence(features: Tensor, weights: Tensor) -> Tensor:
    """sum_(k < l) of the squared weighted covariances; features (P, K, m), weights (P,) with sum 1."""
    centred = features - (weights[:, None, None] * features).sum(dim=0)
    flat = centred.flatten(1)
    covariance = (flat * weights[:, None]).T @ flat
    count, size = features.shape[1:]
    squares = covariance.square().unflatten(0, (count, size)).unflatten(2, (count, size)).sum(dim=(1, 3))
    return torch.triu(squares, diagonal=1).sum()
