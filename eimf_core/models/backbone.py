"""The one signature of all backbones: item vectors and mask in, interests out, and what training asks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.models.hyperparameters import Hyperparameters
from eimf_core.models.layers import Dropout
from eimf_core.models.parts import Encoder, Extractor, LastState, NoEncoder, Output
from eimf_core.models.readout import hard_readout
from eimf_core.models.shape import Shape


@dataclass(frozen=True)
class TrainingStep:
    """What a step of training has read, for the losses that a backbone adds.

    `vectors` (B, L, d) and `mask` bool (B, L) are the histories, `predicted` bool (B, L) says which of their
    prefixes have a target, P in all. `interests` (P, K, d) are those of these prefixes, and `logits` (B, K, L)
    those of the attention over the histories; both are None where the step did not need them.
    """

    vectors: Tensor
    mask: Tensor
    predicted: Tensor
    interests: Tensor | None = None
    logits: Tensor | None = None


class Backbone(nn.Module):
    """A sequence encoder followed by an interest extractor.

    Inputs of all forms: `vectors` float (B, L, d), the item vectors of histories, oldest first and
    padded at the end; `mask` bool (B, L), true where there is an item; `side`, what else is known
    where the backbone reads it (`side_inputs`): "days" float (B, L), days before the last item or -1
    where unknown, "features" int64 (B, L, F), the item's features from 1, 0 for none, and "events"
    int64 (B, L), its kind of behaviour from 1, 0 where unknown. What is missing from `side` is unknown.
    Interests have length 1; a history without any item gives interests of zeros.

    With kinds of behaviour (`shape.events`) an item of a history is its vector and that of its kind,
    e_i + q_(kind of i), whatever the backbone; q starts as zeros, that of an unknown kind stays there.
    After the multi-behaviour interests of Meng et al., 2022 (CKML), of which the abstract was at hand:
    there each kind of behaviour has interests of its own; here they share theirs.

    `forward` reads each history as a whole and gives interests (B, K, d) and
    {"attention": (B, K, L)}, rows summing to 1. `all_prefixes` gives for every position t what
    `forward` would give for the history that ends there: (B, L, K, d) and {"attention":
    (B, L, K, L)}, with "logits" (B, K, L) where the attention is their running softmax; entries at
    padding mean nothing. Only with `reads_all_prefixes`.

    `nearest_interest` gives of the interests of every prefix only the one with the largest cosine with a
    vector of `wanted` (B, L, d), which is all that a hard read-out needs: (B, L, d), and {"logits":
    (B, K, L)} where interests are running means: the attention of prefix t is the softmax of the
    first t logits. Only with `selects_interest`.

    A backbone says of itself:
        encoder_type, extractor_type: its parts.
        hyperparameters: the dataclass of its own settings; `own` holds their values.
        side_inputs: what it reads beside vectors and mask.
        single: of a plug-in, whether it has one interest a user; of others the registry says it.
    One whose encoder is no module of its own overrides `encode`. Where it trains otherwise than by the softmax over a
    hard read-out, it overrides `negative_hardness`, `read_out`, `pair_weights` or `auxiliary_losses`.
    """

    encoder_type: ClassVar[type[Encoder]] = NoEncoder
    extractor_type: ClassVar[type[Extractor]] = LastState
    hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters
    side_inputs: tuple[str, ...] = ()
    single: ClassVar[bool] = False

    def __init__(self, shape: Shape, hyperparameters: Hyperparameters, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = self.encoder_type(shape, hyperparameters, generator)
        self.extractor = self.extractor_type(shape, hyperparameters, generator)
        self.shape, self.own = shape, hyperparameters
        self.generator = generator
        self.dropout = Dropout(shape.dropout, generator)
        self.behaviours: nn.Parameter | None = None
        if shape.events:
            self.side_inputs = (*self.side_inputs, "events")
            self.behaviours = nn.Parameter(torch.zeros(shape.events + 1, shape.dimension))

    @property
    def reads_all_prefixes(self) -> bool:
        """Whether all prefixes of a sequence can be read in one pass."""
        return self.encoder.causal and self.extractor.reads_all_prefixes

    @property
    def selects_interest(self) -> bool:
        """Whether there is a `nearest_interest`, and training needs no more."""
        return self.reads_all_prefixes and self.extractor.selects_interest

    @property
    def negative_hardness(self) -> float:
        """How much more negatives count that are near the interest; see `training/losses/sampled_softmax.py`."""
        return 0.0

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor] | None = None) -> Output:
        interests, auxiliary = self.extractor(self._states(vectors, mask, side or {}), mask)
        return functional.normalize(interests, dim=-1) * mask.any(dim=1)[:, None, None], auxiliary

    def all_prefixes(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor] | None = None) -> Output:
        """The interests of every prefix, in one pass.

        Args:
            vectors: item vectors of histories (B, L, d).
            mask: bool (B, L), true where there is an item.
            side: what else is known, by name.

        Returns:
            Interests (B, L, K, d) and {"attention": (B, L, K, L)}, with "logits" (B, K, L) where the
            attention is their running softmax.
        """
        states = self._states(vectors, mask, side or {})
        interests, auxiliary = self.extractor.all_prefixes(states, mask)
        return functional.normalize(interests, dim=-1), auxiliary

    def nearest_interest(
        self, vectors: Tensor, mask: Tensor, wanted: Tensor, side: dict[str, Tensor] | None = None
    ) -> Output:
        """Of every prefix the interest that is nearest to what is wanted there.

        Args:
            vectors: item vectors of histories (B, L, d).
            mask: bool (B, L), true where there is an item.
            wanted: what each prefix should lead to, (B, L, d); no gradient passes through it.
            side: what else is known, by name.

        Returns:
            Interests (B, L, d), and {"logits": (B, K, L)} where interests are running means.
        """
        states = self._states(vectors, mask, side or {})
        interests, auxiliary = self.extractor.nearest_interest(states, wanted.detach())
        return functional.normalize(interests, dim=-1), auxiliary

    def read_out(self, interests: Tensor, targets: Tensor) -> Tensor:
        """What answers for each target in training.

        Args:
            interests: (P, K, d).
            targets: (P, d).

        Returns:
            (P, d), or (P, K, d) where all interests answer together.
        """
        return hard_readout(interests, targets)

    def pair_weights(self, interests: Tensor | None) -> Tensor | None:
        """The weights of the pairs of a step in the prediction loss.

        Args:
            interests: (P, K, d), or None where the step did not need them all.

        Returns:
            (P,), their sum 1; None for equal ones.
        """
        return None

    def auxiliary_losses(self, step: TrainingStep) -> dict[str, Tensor]:
        """What is minimised beside the prediction loss.

        Args:
            step: what was read.

        Returns:
            Weighted losses by name.
        """
        return {}

    def encode(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        """The states of histories.

        Args:
            vectors: item vectors (B, L, d).
            mask: bool (B, L), true where there is an item.
            side: what else is known, by name.

        Returns:
            (B, L, d), each of its own and earlier items alone where the encoder says that it is causal.
        """
        states: Tensor = self.encoder(vectors, mask, side)
        return states

    def _states(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        return self.encode(self._read(vectors, side), mask, side)

    def _read(self, vectors: Tensor, side: dict[str, Tensor]) -> Tensor:
        """What the encoder reads: items with their kinds of behaviour."""
        if self.behaviours is not None and "events" in side:
            vectors = vectors + functional.embedding(side["events"], self.behaviours, padding_idx=0)
        dropped: Tensor = self.dropout(vectors)
        return dropped
