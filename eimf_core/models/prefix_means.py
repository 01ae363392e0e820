"""Weighted means of every prefix of a sequence, as maps over all pairs of places or as running sums."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.models.layers import NEVER, running_softmax

BLOCK = 16
LONG = 96


def prefix_means(logits: Tensor, states: Tensor) -> Tensor:
    """Weighted means of every prefix: sum_(i <= t) exp(a_(k,i)) h_i / sum_(i <= t) exp(a_(k,i)) for every place t.

    By the map of each prefix, whose cost grows with L for each place, or by running sums, whose cost does not, where
    histories are long enough for that to pay. Measured at d 64, K 4, 1,024 places in all, one thread, no gradients:
    at L 50 .61 ms by maps and .87 ms by sums, at L 200 2.05 and 1.13 ms, which makes the whole step of `comirec-sa` 4 %
    slower at L 50 and 10 % faster at L 200.

    Args:
        logits: a, (B, K, L).
        states: h, (B, L, d).

    Returns:
        (B, K, L, d).
    """
    return (by_sums if logits.shape[-1] > LONG else by_maps)(logits, states)


def by_maps(logits: Tensor, states: Tensor) -> Tensor:
    """The means by a softmax over each prefix."""
    return mapped(running_softmax(logits[:, :, None]), states)


def mapped(attention: Tensor, states: Tensor) -> Tensor:
    """The means from the maps of all prefixes.

    Args:
        attention: (B, K, L, L), a row for each prefix.
        states: (B, L, d).

    Returns:
        (B, K, L, d).
    """
    means: Tensor = (attention.flatten(1, 2) @ states).unflatten(1, attention.shape[1:3])
    return means


def by_sums(logits: Tensor, states: Tensor) -> Tensor:
    """The means by running sums, block by block.

    All sums are relative to the largest logit so far, so that none overflows and the last ones of a
    prefix never vanish beside what comes later: within a block by a map of its own, before it by the
    sums that the last block ended with.
    """
    length = logits.shape[-1]
    blocks = -(-length // BLOCK)
    spare = blocks * BLOCK - length
    # the weights are summed as one more column
    summed = torch.cat([states, torch.ones_like(states[..., :1])], dim=-1)
    summed = functional.pad(summed, (0, 0, 0, spare)).unflatten(1, (blocks, BLOCK))[:, None]
    parts = functional.pad(logits, (0, spare), value=NEVER).unflatten(-1, (blocks, BLOCK))
    # only a scale, which the quotient is free of
    largest = parts.detach().flatten(-2).cummax(dim=-1).values.unflatten(-1, (blocks, BLOCK))
    later = torch.full((BLOCK, BLOCK), NEVER, dtype=logits.dtype, device=logits.device).triu_(1)
    sums = torch.exp(parts[..., None, :] - largest[..., None] + later) @ summed
    ends = largest[..., -1]
    before = [torch.zeros_like(sums[:, :, 0, -1])]
    for block in range(blocks - 1):
        scale = torch.exp(ends[:, :, max(0, block - 1)] - ends[:, :, block])
        before.append(before[-1] * scale[..., None] + sums[:, :, block, -1])
    # nothing comes before the first block
    since = torch.exp(functional.pad(ends[..., :-1], (1, 0), value=NEVER)[..., None] - largest)
    sums = (sums + torch.stack(before, dim=2)[..., None, :] * since[..., None]).flatten(2, 3)[:, :, :length]
    means: Tensor = sums[..., :-1] / sums[..., -1:]
    return means
