"""Alignment on item distributions: matched interests rank the items of a step alike.

    L_DA = sum_i w_i 1/2 [ KL(sg(p_i) || q_i) + KL(sg(q_i) || p_i) ],
    p_i = softmax(<s_i, C> / tau),  q_i = softmax(<v_i, C> / tau)

v_i and s_i are the behavioural and semantic interests of a user that the one-to-one assignment of
`modality_alignment.py` puts together, in unit length, C the candidates of the step, sg no gradient. Each
teaches the other what to recommend, wherever in space they stand. After the mutual distillation of
Zhang et al., CVPR 2018; the use on interests is this project's own.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from eimf_core.training.losses.modality_alignment import match, shares


def distribution_alignment(
    behavioural: Tensor, semantic: Tensor, mask: Tensor, candidates: Tensor, *, temperature: float,
    weights: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Mean over the matched pairs, or their sum with the weights (B,) of users, spread over their pairs.

    behavioural (B, K, d); semantic (B, M, d); mask bool (B, M), which semantic interests exist, the
    existing ones first; candidates (C, d), item vectors as scores see them.
    """
    behavioural, semantic = functional.normalize(behavioural, dim=-1), functional.normalize(semantic, dim=-1)
    users, rows, columns = match(behavioural, semantic, mask)
    by_behaviour = functional.log_softmax(behavioural[users, rows] @ candidates.T / temperature, dim=1)
    by_words = functional.log_softmax(semantic[users, columns] @ candidates.T / temperature, dim=1)
    taught = _divergence(by_words.detach(), by_behaviour) + _divergence(by_behaviour.detach(), by_words)
    return 0.5 * (shares(users, weights, like=taught) * taught).sum()


def _divergence(teacher: Tensor, learner: Tensor) -> Tensor:
    """KL(teacher || learner) of each row; both are logarithms of probabilities (n, C)."""
    return (teacher.exp() * (teacher - learner)).sum(dim=1)
