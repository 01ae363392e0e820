"""Modality alignment: behavioural and semantic interests of the same user meet, one to one.

For each labelled user the K behavioural interests V and the M semantic interests S are matched by
the assignment with the largest sum of cosines (Kuhn, 1955). Each of the n matched pairs (v_i, s_i)
is contrasted with the interests of the other users in the batch, in both directions:

    L_MA = -1/2 mean_i [ log e^(c(v_i, s_i)/tau) / (e^(c(v_i, s_i)/tau) + sum_j e^(c(v_i, s_j)/tau))
                       + the same with v and s exchanged ]

c is the cosine, tau the temperature, j runs over the pairs of other users whose text differs. After
Oord et al., arXiv 1807.03748 (InfoNCE), and Qiao et al., arXiv 2411.09410 (this project's reading).
Without the matching, heads are pulled towards an average and collapse.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from eimf_core.training.losses.inputs import LabelInputs

Matches = tuple[Tensor, Tensor, Tensor]


def match(behavioural: Tensor, semantic: Tensor, mask: Tensor) -> Matches:
    """The best one-to-one assignment of each user.

    Args:
        behavioural: (B, K, d), of length 1 along d.
        semantic: (B, M, d), likewise.
        mask: bool (B, M), which semantic interests exist, the existing ones first.

    Returns:
        Users, k and m, each int64 (n,).
    """
    cosines = (behavioural.detach() @ semantic.detach().transpose(1, 2)).double().cpu().numpy()
    counts = mask.sum(dim=1).tolist()
    found: list[npt.NDArray[np.int64]] = [np.zeros((3, 0), dtype=np.int64)]
    for user, count in enumerate(counts):
        rows, columns = linear_sum_assignment(cosines[user, :, :count], maximize=True)
        found.append(np.stack([np.full(len(rows), user), rows, columns]))
    users, rows, columns = torch.from_numpy(np.concatenate(found, axis=1)).to(mask.device)
    return users, rows, columns


def modality_alignment(
    behavioural: Tensor, semantic: Tensor, mask: Tensor, texts: Tensor, *, temperature: float
) -> Tensor:
    """The mean loss of the matched pairs.

    Args:
        behavioural: (B, K, d).
        semantic: (B, M, d).
        mask: bool (B, M), which semantic interests exist, the existing ones first.
        texts: int64 (B, M), equal where the text of two interests is equal.
        temperature: divides the cosines.

    Returns:
        A scalar; 0 when the batch has no second user to contrast with.
    """
    behavioural, semantic = functional.normalize(behavioural, dim=-1), functional.normalize(semantic, dim=-1)
    users, rows, columns = match(behavioural, semantic, mask)
    left, right, text = behavioural[users, rows], semantic[users, columns], texts[users, columns]
    logits = left @ right.T / temperature
    itself = torch.eye(len(users), dtype=torch.bool, device=users.device)
    excluded = ((users[:, None] == users) | (text[:, None] == text)) & ~itself
    if bool((excluded | itself).all()):
        return behavioural.sum() * 0.0 + semantic.sum() * 0.0
    logits = logits.masked_fill(excluded, -torch.inf)
    wanted = torch.arange(len(users), device=users.device)
    both = [functional.cross_entropy(scores, wanted, reduction="none") for scores in (logits, logits.T)]
    # of the sum of the users' equal weights 1/B, spread over the pairs
    own = both[0].new_full((len(mask),), 1.0 / len(mask))
    share = own[users] * (own.sum() / own[users].sum())
    return 0.5 * (share * (both[0] + both[1])).sum()


def loss(inputs: LabelInputs) -> Tensor:
    """Modality alignment of the labelled users of a step.

    Args:
        inputs: of the step.

    Returns:
        A scalar.
    """
    return modality_alignment(
        inputs.behavioural(), inputs.words, inputs.exists, inputs.texts, temperature=inputs.temperature
    )
