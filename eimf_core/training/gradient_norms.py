"""The gradient norm of each part of the loss with respect to the item vectors of a step."""

from __future__ import annotations

import torch
from torch import Tensor

LARGE = 1.0  # times the gradient norm of the prediction


def norms(losses: dict[str, Tensor], leaf: Tensor) -> dict[str, float]:
    """The norm of the gradient of each loss; the graph is kept.

    Args:
        losses: by name.
        leaf: what it is the gradient with respect to, (R, d).

    Returns:
        Norms by name, of losses that require a gradient; 0 where it does not reach the leaf.
    """
    found = {}
    for name, loss in losses.items():
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, leaf, retain_graph=True, allow_unused=True)
            found[name] = 0.0 if gradient is None else float(gradient.norm())
    return found


def larger_than_prediction(line: dict[str, dict[str, float]]) -> list[str]:
    """The parts with a larger gradient norm than the prediction in the epoch of a line of `train.jsonl`."""
    found = line.get("gradients", {})
    main = found.get("prediction", 0.0)
    return [name for name, norm in found.items() if name != "prediction" and main and norm > LARGE * main]
