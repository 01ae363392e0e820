"""The two parts of a backbone: a sequence encoder, and an interest extractor."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from eimf_core.models.hyperparameters import Hyperparameters
from eimf_core.models.shape import Shape

Output = tuple[Tensor, dict[str, Tensor]]


class Encoder(nn.Module):
    """Item vectors (B, L, d), mask (B, L) and side inputs to states (B, L, d).

    In a `causal` encoder the state at a position depends on this and earlier items only, so that the
    interests of all prefixes can be read from one pass.
    """

    hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters
    causal = True

    def __init__(self, shape: Shape, hyperparameters: Hyperparameters, generator: torch.Generator) -> None:
        super().__init__()

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        raise NotImplementedError


class Extractor(nn.Module):
    """States (B, L, d) and mask (B, L) to K interests and their attention maps; see `Backbone` for all forms.

    `reads_all_prefixes` says whether there is an `all_prefixes`, `selects_interest` whether there is a
    `nearest_interest`.
    Interests of a user whose mean cosine is above `collapsed` are nearly all the same.
    """

    hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters
    reads_all_prefixes = selects_interest = False
    collapsed = 0.9

    def __init__(self, shape: Shape, hyperparameters: Hyperparameters, generator: torch.Generator) -> None:
        super().__init__()

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        raise NotImplementedError

    def all_prefixes(self, states: Tensor, mask: Tensor) -> Output:
        """As `Backbone.all_prefixes`, from states.

        Args:
            states: (B, L, d).
            mask: bool (B, L), true where there is an item.

        Returns:
            Interests (B, L, K, d), of any length, and {"attention": (B, L, K, L)}, with "logits" (B, K, L) where
            the attention is their running softmax.
        """
        raise NotImplementedError

    def nearest_interest(self, states: Tensor, wanted: Tensor) -> Output:
        """As `Backbone.nearest_interest`, from states.

        Args:
            states: (B, L, d).
            wanted: (B, L, d), without a gradient.

        Returns:
            Interests (B, L, d), of any length, and {"logits": (B, K, L)} or nothing.
        """
        raise NotImplementedError


class NoEncoder(Encoder):
    """The item vectors themselves."""

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        return vectors


def last_place(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The attention that sees the last item of a history alone.

    Args:
        mask: bool (B, L), true where there is an item.
        dtype: of what is returned.

    Returns:
        (B, 1, L), 1 at the last item of each history and 0 elsewhere.
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    return (places == mask.sum(dim=1, keepdim=True) - 1).to(dtype)[:, None]


class LastState(Extractor):
    """One interest: the state of the last item (as SASRec and GRU4Rec read out)."""

    reads_all_prefixes = selects_interest = True

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        last = last_place(mask, states.dtype)
        return last @ states, {"attention": last}

    def nearest_interest(self, states: Tensor, wanted: Tensor) -> Output:
        return states, {}

    def all_prefixes(self, states: Tensor, mask: Tensor) -> Output:
        attention = torch.eye(mask.shape[1], dtype=states.dtype, device=states.device)
        return states[:, :, None], {"attention": attention[None, :, None].expand(len(states), -1, -1, -1)}
