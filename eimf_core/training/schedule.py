"""How much the labels count as training goes on: a warm-up, then as it is, or less and less."""

from __future__ import annotations


def factor(epochs: float, *, warm_up: float, half_life: float) -> float:
    """What the weights of the explicit losses are multiplied with after so many epochs (1.5: half of the second).

    min(1, t / W) * 2^(-max(0, t - W) / H) with t epochs, a warm-up of W (0 for none) and a half-life of H
    epochs after it (0: no decay).
    """
    risen = min(1.0, epochs / warm_up) if warm_up else 1.0
    return risen * 0.5 ** (max(0.0, epochs - warm_up) / half_life) if half_life else risen
