"""Which interest answers for each target of a batch, read in the cheapest way that its losses allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.models.network import Backbone
from eimf_core.training.batches import Batch
from eimf_core.training.extras import Extras
from eimf_core.training.losses.readout import hard_readout, label_aware


@dataclass(frozen=True)
class Answers:
    """`queries` (P, d), what is scored for the P targets of a batch, in their order; `interests`
    (P, K, d), all that could have answered, and `logits` (B, K, L) of their attention, where known."""

    queries: Tensor
    interests: Tensor | None = None
    logits: Tensor | None = None


def answers(
    backbone: Backbone, extras: Extras, batch: Batch, vectors: Tensor, mask: Tensor, side: dict[str, Tensor],
    scored: Tensor, at: Tensor,
) -> Answers:  # fmt: skip
    """Vectors (B, L, d) and mask (B, L) of the histories; `scored` (R, d) item vectors as scores see them,
    of which the rows `at` int64 (P,) are the targets."""
    if backbone.picks and not extras.needs_all:
        places = torch.from_numpy(np.flatnonzero(batch.targets)).to(at.device)
        # padding wants the first row, and nobody asks what answered
        wanted = at.new_zeros(batch.targets.size).index_copy_(0, places, at).view(batch.targets.shape)
        nearest, auxiliary = backbone.nearest(vectors, mask, functional.embedding(wanted, scored.detach()), side)
        queries = nearest.flatten(0, 1)
        if len(places) < len(queries):
            queries = queries.index_select(0, places)
        return Answers(queries, logits=auxiliary.get("logits"))
    if backbone.one_pass:
        interests = backbone.prefixes(vectors, mask, side)[0][torch.from_numpy(batch.targets > 0).to(at.device)]
    else:
        interests = backbone(vectors, mask, side)[0]
    targets = scored.index_select(0, at)
    if extras.power is None:
        return Answers(hard_readout(interests, targets), interests)
    blend = label_aware(interests, targets, extras.power)
    return Answers(functional.normalize(blend, dim=-1) if backbone.shape.normalise else blend, interests)
