"""Item-word alignment: items and the words of their interests find each other.

    L_SI = 1/2 ( L_words + L_items )

L_items: an item finds the words that it shows among those of the batch,

    L_items = -mean_i log ( e^(c(e_i, s_i)/tau) / (e^(c(e_i, s_i)/tau) + sum_j e^(c(e_i, s_j)/tau)) )

over the texts j of the batch that item i does not show there. L_words is the same with items and texts
exchanged: items that labels speak of are contrasted with each other alone. Items that share words are tied
together, whoever had them. After Oord et al., arXiv 1807.03748 (InfoNCE); the use is this project's own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.training.losses.inputs import LabelInputs


def item_word_alignment(
    items: Tensor, semantic: Tensor, item_numbers: Tensor, texts: Tensor, *, temperature: float
) -> Tensor:
    """Mean loss of P pairs; 0 where no pair has another's to be told from.

    Args:
        items: (P, d), vectors of items.
        semantic: (P, d), semantic interests.
        item_numbers, texts: int64 (P,), equal where item or text are equal.
        temperature: divides the cosines.

    Returns:
        A scalar.
    """
    logits = functional.normalize(items, dim=-1) @ functional.normalize(semantic, dim=-1).T / temperature
    same_item = (item_numbers[:, None] == item_numbers).to(logits)
    same_text = (texts[:, None] == texts).to(logits)
    # text j belongs to item i where some pair of the batch says so
    belongs = (same_item @ same_text) > 0
    itself = torch.eye(len(items), dtype=torch.bool, device=items.device)
    logits = logits.masked_fill(belongs & ~itself, -torch.inf)
    wanted = torch.arange(len(items), device=items.device)
    # of a pair (text, item) another pair's item is left out where it has this text too, and the same way back
    return 0.5 * (functional.cross_entropy(logits.T, wanted) + functional.cross_entropy(logits, wanted))


def loss(inputs: LabelInputs) -> Tensor | None:
    """Item-word alignment of a step.

    Args:
        inputs: of the step.

    Returns:
        A scalar; None where no item of its labels is known.
    """
    if not len(inputs.word_items.rows):
        return None
    words = inputs.embed(inputs.word_texts)
    return item_word_alignment(
        inputs.vectors[inputs.word_items.rows],
        words,
        inputs.word_items.rows,
        inputs.word_texts,
        temperature=inputs.temperature,
    )
