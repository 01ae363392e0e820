"""The one signature of all backbones: item vectors and mask in, interests and auxiliaries out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.backbones import Shape
from eimf_core.models.layers import Dropout

Output = tuple[Tensor, dict[str, Tensor]]


class Backbone(nn.Module):
    """A sequence encoder followed by an interest extractor.

    Inputs of both forms: `vectors` float (B, L, d), the item vectors of histories, oldest first and
    padded at the end; `mask` bool (B, L), true where there is an item; `side`, what else is known
    where the backbone reads it (`side_inputs`): "days" float (B, L), days before the last item or -1
    where unknown, "features" int64 (B, L, F), the item's features from 1, 0 for none, and "events"
    int64 (B, L), its kind of behaviour from 1, 0 where unknown. What is missing from `side` is unknown.
    A history without any item gives interests of zeros.

    With kinds of behaviour (`shape.events`) an item of a history is its vector and that of its kind,
    e_i + q_(kind of i), whatever the backbone; q starts as zeros, that of an unknown kind stays there.
    After the multi-behaviour interests of Meng et al., 2022 (CKML), of which the abstract was at hand:
    there each kind of behaviour has interests of its own; here they share theirs.

    `forward` reads each history as a whole and gives interests (B, K, d) and
    {"attention": (B, K, L)}, rows summing to 1. `prefixes` gives for every position t what
    `forward` would give for the history that ends there: (B, L, K, d) and {"attention":
    (B, L, K, L)}; entries at padding mean nothing. Only extractors with `one_pass` have it.

    `nearest` gives of the interests of every prefix only the one with the largest score (inner
    product, or cosine where interests have length 1) with a vector of `wanted` (B, L, d), which is
    all that a hard read-out needs: (B, L, d), and {"logits": (B, K, L)} where interests are running
    means: the attention of prefix t is the softmax of the first t logits. Only with `picks`.
    """

    def __init__(
        self, encoder: nn.Module, extractor: nn.Module, shape: Shape, generator: torch.Generator, *,
        side: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.side_inputs = side
        self.encoder = encoder
        self.extractor = extractor
        self.shape = shape
        self.generator = generator
        self.dropout = Dropout(shape.dropout, generator)
        self.behaviours: nn.Parameter | None = None
        if shape.events:
            self.side_inputs = (*side, "events")
            self.behaviours = nn.Parameter(torch.zeros(shape.events + 1, shape.dimension))

    @property
    def one_pass(self) -> bool:
        """Whether all prefixes of a sequence can be read in one pass."""
        return bool(self.encoder.causal) and bool(self.extractor.one_pass)

    @property
    def picks(self) -> bool:
        """Whether there is a `nearest`."""
        return self.one_pass and bool(self.extractor.picks)

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor] | None = None) -> Output:
        interests, auxiliary = self.extractor(self._states(vectors, mask, side or {}), mask)
        return self._finished(interests) * mask.any(dim=1)[:, None, None], auxiliary

    def prefixes(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor] | None = None) -> Output:
        """The interests of every prefix, in one pass."""
        states = self._states(vectors, mask, side or {})
        interests, auxiliary = self.extractor.prefixes(states, mask)  # type: ignore[operator]
        return self._finished(interests), auxiliary

    def nearest(self, vectors: Tensor, mask: Tensor, wanted: Tensor, side: dict[str, Tensor] | None = None) -> Output:
        """Of every prefix the interest that is nearest to what is wanted there."""
        states = self._states(vectors, mask, side or {})
        interests, auxiliary = self.extractor.nearest(states, wanted.detach())  # type: ignore[operator]
        return self._finished(interests), auxiliary

    def _states(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        if self.behaviours is not None and "events" in side:
            vectors = vectors + functional.embedding(side["events"], self.behaviours, padding_idx=0)
        states: Tensor = self.encoder(self.dropout(vectors), mask, side)
        return states

    def _finished(self, interests: Tensor) -> Tensor:
        return functional.normalize(interests, dim=-1) if self.shape.normalise else interests
