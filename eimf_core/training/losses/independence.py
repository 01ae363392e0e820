"""Weights of the pairs of a batch under which the interests are independent of each other.

    w = argmin sum_(k < l) | cov_w(f(V_k), f(V_l)) |_F^2,   f(v) = sqrt(2/m) cos(F v + b)

the Hilbert-Schmidt independence criterion on m random features (Rahimi and Recht, 2007) of a
Gaussian kernel, after Liu et al., arXiv 2207.06652 (DESMIL, stable learning): the prediction loss is
then weighted by w, so that what holds only because interests go together counts less. w is found by
a few steps of gradient descent on logits, from equal weights, in every step of training.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS, RATE, LARGEST = 3, 1.0, 3.0


def independent_weights(interests: Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
    """Weights (P,) with mean 1, at most LARGEST before that; no gradient.

    interests (P, K, d), frequencies (d, m), phases (m,).
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
