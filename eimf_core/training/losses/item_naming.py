"""Items and the words of the interests that they show find each other.

    L_SI = 1/2 ( L_words + L_items )

L_words: the semantic interest g(t) predicts an item that shows it, the softmax of `semantic_prediction`
with the item told by the label instead of read out. L_items, computed here, is the way back: an item
picks its interest's words among those of the batch,

    L_items = -mean_i log ( e^(c(e_i, s_i)/tau) / (e^(c(e_i, s_i)/tau) + sum_j e^(c(e_i, s_j)/tau)) )

over the texts j of the batch that are not among the texts shown by item i there. Items that share words
are tied together, whoever had them. After Oord et al., arXiv 1807.03748 (InfoNCE); the use is this
project's own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def words_of_items(
    items: Tensor, semantic: Tensor, item_numbers: Tensor, texts: Tensor, *, temperature: float
) -> Tensor:
    """L_items of P pairs; 0 where no pair has another's words to be told from.

    items (P, d), vectors of items; semantic (P, d), semantic interests; item_numbers and texts int64 (P,),
    equal where item or text are equal.
    """
    logits = functional.normalize(items, dim=-1) @ functional.normalize(semantic, dim=-1).T / temperature
    same_item = (item_numbers[:, None] == item_numbers).to(logits)
    same_text = (texts[:, None] == texts).to(logits)
    # text j is shown by item i where some pair of the batch says so
    shown = (same_item @ same_text) > 0
    itself = torch.eye(len(items), dtype=torch.bool, device=items.device)
    logits = logits.masked_fill(shown & ~itself, -torch.inf)
    return functional.cross_entropy(logits, torch.arange(len(items), device=items.device))
