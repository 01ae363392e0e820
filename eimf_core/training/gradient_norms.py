"""How hard each part of the loss pulls at the item vectors of a step."""

from __future__ import annotations

import torch
from torch import Tensor

DROWNING = 1.0  # times the norm of the main loss


def norms(losses: dict[str, Tensor], leaf: Tensor) -> dict[str, float]:
    """The norm of the gradient of each part with respect to the leaf (R, d); the graph is kept."""
    found = {}
    for name, loss in losses.items():
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, leaf, retain_graph=True, allow_unused=True)
            found[name] = 0.0 if gradient is None else float(gradient.norm())
    return found


def drowning(line: dict[str, dict[str, float]]) -> list[str]:
    """The parts that pulled harder than the prediction in the epoch that a line of figures tells of."""
    pulls = line.get("gradients", {})
    main = pulls.get("prediction", 0.0)
    return [name for name, norm in pulls.items() if name != "prediction" and main and norm > DROWNING * main]
