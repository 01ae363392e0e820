"""Which interest answers for each target of a batch, read in the cheapest way that its backbone allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.models.backbone import Backbone
from eimf_core.training.batches import Batch


@dataclass(frozen=True)
class TargetInterests:
    """`queries` (P, d), what is scored for the P targets of a batch, in their order, or (P, K, d) where all interests
    answer together; `interests` (P, K, d), all that could have answered, and `logits` (B, K, L) of their attention,
    where known."""

    queries: Tensor
    interests: Tensor | None = None
    logits: Tensor | None = None


def target_interests(
    backbone: Backbone, batch: Batch, vectors: Tensor, mask: Tensor, side: dict[str, Tensor], scored: Tensor,
    at: Tensor,
) -> TargetInterests:  # fmt: skip
    """The interests that answer for the targets of a batch.

    Args:
        backbone: reads the histories.
        batch: says which prefixes have a target.
        vectors: of the items of the histories, (B, L, d).
        mask: bool (B, L), where there is an item.
        side: what else the backbone reads.
        scored: item vectors as scores see them, (R, d).
        at: int64 (P,), the rows of `scored` that are the targets.

    Returns:
        What is scored for the P targets, with the interests and logits behind it where they are known.
    """
    if backbone.selects_interest:
        places = torch.from_numpy(np.flatnonzero(batch.targets)).to(at.device)
        # padding wants the first row, and nobody asks what answered
        wanted = at.new_zeros(batch.targets.size).index_copy_(0, places, at).view(batch.targets.shape)
        nearest, auxiliary = backbone.nearest_interest(
            vectors, mask, functional.embedding(wanted, scored.detach()), side
        )
        queries = nearest.flatten(0, 1)
        if len(places) < len(queries):
            queries = queries.index_select(0, places)
        return TargetInterests(queries, logits=auxiliary.get("logits"))
    if backbone.reads_all_prefixes:
        interests = backbone.all_prefixes(vectors, mask, side)[0][torch.from_numpy(batch.targets > 0).to(at.device)]
    else:
        interests = backbone(vectors, mask, side)[0]
    return TargetInterests(backbone.read_out(interests, scored.index_select(0, at)), interests)
