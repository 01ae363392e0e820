"""How a model with several interests uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Doubles
from eimf_core.numeric.vectors import mean_pairwise_cosine

Counts = npt.NDArray[np.int16]


def interest_cosine(interests: npt.NDArray[np.float32]) -> Doubles:
    """Mean cosine over all pairs of a user's interests: 1 when they have all become the same.

    interests (U, K, d); NaN with one alone. Source: after the interest
    disagreement of Cen et al., KDD 2020, and the collapse shown by Xie et al., RecSys 2023.
    """
    return mean_pairwise_cosine(interests)


class InterestUse:
    """Counts, per user, interest and cutoff, the places of the lists and the hits it brought: int16 (U, K) each."""

    def __init__(self, users: int, number: int, ks: Sequence[int]) -> None:
        self.places = {k: np.zeros((users, number), dtype=np.int16) for k in ks}
        self.hits = {k: np.zeros((users, number), dtype=np.int16) for k in ks}

    def add(
        self,
        rows: npt.NDArray[np.int64],
        sources: npt.NDArray[np.int8],
        lists: npt.NDArray[np.int64],
        hits: npt.NDArray[np.bool_],
    ) -> None:
        """Count the lists of some users.

        Args:
            rows: the users, (B,).
            sources: the interest that each place comes from, from 0, (B, n).
            lists: item indices, 0 for none, (B, n).
            hits: whether a place holds a target, (B, n).
        """
        for k, places in self.places.items():
            for interest in range(places.shape[1]):
                of = sources[:, :k] == interest
                places[rows, interest] = (of & (lists[:, :k] > 0)).sum(axis=1)
                self.hits[k][rows, interest] = (of & hits[:, :k]).sum(axis=1)


def interest_places(use: InterestUse, k: int) -> Counts:
    """Share of all list places that each interest filled, in slices interest=0, interest=1 and so on.

    A place belongs to the interest with the largest score for its item; a share near 1 means that
    one interest makes the lists alone. This project's own figure.
    """
    return use.places[k]


def interest_hits(use: InterestUse, k: int) -> Counts:
    """Share of all hits that each interest brought, in slices interest=0, interest=1 and so on.

    A hit belongs to the interest with the largest score for its item. This project's own figure.
    """
    return use.hits[k]


def shares(counts: Counts) -> Doubles:
    """The share of each interest in the sum over all users.

    Args:
        counts: by user and interest, (U, K).

    Returns:
        (K,), 0 where there is nothing to share.
    """
    total = counts.sum(axis=0, dtype=np.int64)
    found: Doubles = total / max(1, total.sum())
    return found


OF_INTERESTS: dict[str, Callable[[npt.NDArray[np.float32]], Doubles]] = {"interest_cosine": interest_cosine}
SHARES: dict[str, Callable[[InterestUse, int], Counts]] = {
    "interest_places": interest_places,
    "interest_hits": interest_hits,
}
