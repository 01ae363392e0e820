"""Backward flow: interests that know which items they came from.

An item belongs to interest k of a history of n items when a_(k,i) > 1/n. With c the cosine:

    contrast  -mean log( sum_own e^(c(V_k, h_i)/t) / (sum_all e^(c(V_k, h_i)/t) + sum_(l != k) e^(c(V_k, V_l)/t)) )
    attend    -mean sum_i softmax_i(c(V_k, h_i)/t) log a_(k,i)
    rebuild    mean over own items of |x_(k,i) - h_i|^2 / d,  x the guess from V_k alone

after Zhang et al., WWW 2022 (Re4). The items, and in "attend" what attention should be, are given:
no gradient flows into them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def backward_flow(
    interests: Tensor, attention: Tensor, states: Tensor, rebuilt: Tensor, mask: Tensor, *, temperature: float
) -> dict[str, Tensor]:
    """The three losses by name, means over the interests of B histories with an item.

    interests (B, K, d), attention (B, K, L), states (B, L, d), rebuilt (B, K, L, d), mask bool (B, L).
    """
    fixed = states.detach()
    there = mask[:, None]
    unit = functional.normalize(interests, dim=-1)
    logits = unit @ functional.normalize(fixed, dim=-1).mT / temperature
    logits = logits.masked_fill(~there, -1e30)
    count = mask.sum(dim=1).clamp(min=1)[:, None, None]
    # the largest is always one of its own: attention may be exactly even
    largest = attention >= attention.amax(dim=-1, keepdim=True)
    own = ((attention > 1.0 / count) | largest) & there
    among = unit @ unit.mT / temperature
    itself = torch.eye(interests.shape[1], dtype=torch.bool, device=interests.device)
    everything = torch.cat([logits, among.masked_fill(itself, -1e30)], dim=-1)
    near = torch.logsumexp(logits.masked_fill(~own, -1e30), dim=-1)
    wanted = torch.softmax(logits.detach(), dim=-1)
    missed = (rebuilt - fixed[:, None]).square().mean(dim=-1)
    return {
        "contrast": (torch.logsumexp(everything, dim=-1) - near).mean(),
        "attend": -(wanted * attention.clamp(min=1e-12).log() * there).sum(dim=-1).mean(),
        "rebuild": ((missed * own).sum(dim=-1) / own.sum(dim=-1).clamp(min=1)).mean(),
    }
