"""The members of an ensemble within one model directory.

    max_k <V_k, a> + <g, b> = max_k <[V_k ; g], [a ; b]>

The weighted sum of the scores of several models is the score of one model of their joint width. An item's joint vector
holds a block for each member, the member's own vector scaled to length sqrt(w), w being the member's weight; weights
sum to 1, so that a joint vector has length 1. Lengths of the members' own vectors, which their networks read, are kept
beside it. Members with several interests come first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Floats
from eimf_core.numeric.vectors import row_lengths

Positive = Annotated[int, msgspec.Meta(ge=1)]
LinearMap = tuple[Floats, Floats]


class MemberConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A member: its backbone and sizes, its `weight` in the ensemble, the `epochs` after which it was best, its
    NDCG@10 on the validation split then (None without one) and its full training configuration."""

    backbone: str
    dimension: Positive
    interests: Positive
    weight: float
    epochs: int
    ndcg: float | None = None
    training: dict[str, Any] = {}


@dataclass(frozen=True)
class Member:
    """A member, or a model that is no ensemble, as training goes on from it.

    `vectors` (N + 1, d) are its own item vectors, `network` the weights of its network by name, `text_map` and
    `adapter` its maps from text to item vectors, weight (d, D) and bias (d,), or None.
    """

    backbone: str
    dimension: Positive
    interests: Positive
    vectors: npt.NDArray[Any]
    network: dict[str, npt.NDArray[Any]]
    text_map: LinearMap | None
    adapter: LinearMap | None


class MemberBlocks:
    """Where the blocks of the members lie in a joint vector, and how long each is."""

    def __init__(self, dimensions: Sequence[int], weights: Sequence[float]) -> None:
        ends = np.cumsum([0, *dimensions]).tolist()
        self.parts = [slice(start, end) for start, end in pairwise(ends)]
        self.lengths = [math.sqrt(weight) for weight in weights]

    def joint(self, own: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """The vectors of an ensemble from those of its members.

        Args:
            own: the members' own vectors side by side, (n, d).

        Returns:
            Joint vectors (n, d), and the lengths (n, M) that the members' vectors had.
        """
        made = np.array(own, dtype=np.float32)
        lengths = np.empty((len(made), len(self.parts)), dtype=np.float32)
        for number, (part, length) in enumerate(zip(self.parts, self.lengths, strict=True)):
            lengths[:, number] = row_lengths(made[:, part])
            made[:, part] *= (length / lengths[:, number])[:, None]
        return made, lengths

    def own(self, joint: npt.NDArray[Any], lengths: Floats, number: int) -> Floats:
        """The vectors of one member from those of the ensemble.

        Args:
            joint: vectors (n, d) of the ensemble.
            lengths: of the members' own vectors, (n, M).
            number: of the member, from 0.

        Returns:
            (n, d_m), as they were before they were joined.
        """
        scaled: Floats = joint[:, self.parts[number]] * (lengths[:, number, None] / np.float32(self.lengths[number]))
        return scaled


class InterestProduct:
    """What the interests of an ensemble consist of: each of one member beside each of every other.

    Interests (B, K, d) of which `parts` are not known have none.
    """

    def __init__(self, members: Sequence[MemberConfig], dimension: int) -> None:
        several = [member for member in members if member.interests > 1]
        shared = dimension - sum(member.dimension for member in several)
        parts = [(member.dimension, member.interests) for member in several]
        self.parts = [*parts, (shared, 1)] if parts and shared else parts
        """Width and number of interests of each member with several, then of those with one together."""
