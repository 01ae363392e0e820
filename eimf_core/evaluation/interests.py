"""How a model with several interests uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def mean_pairwise_cosine(interests: npt.NDArray[np.float32] | None, users: int) -> Values:
    """Mean cosine over all pairs of a user's interests: 1 when they have all become the same.

    interests (U, K, d); NaN without interests or with one alone. Source: after the interest
    disagreement of Cen et al., KDD 2020, and the collapse shown by Xie et al., RecSys 2023.
    """
    if interests is None or interests.shape[1] < 2:
        return np.full(users, np.nan)
    number = interests.shape[1]
    lengths = np.linalg.norm(interests, axis=2, keepdims=True)
    units = interests / np.maximum(lengths, np.finfo(np.float32).tiny)
    squares = (units.sum(axis=1, dtype=np.float64) ** 2).sum(axis=1)
    cosine: Values = (squares - number) / (number * (number - 1))
    return cosine


class InterestUse:
    """Counts, per interest and cutoff, the places of the lists and the hits it brought."""

    def __init__(self, number: int, ks: Sequence[int]) -> None:
        self.places = {k: np.zeros(number, dtype=np.int64) for k in ks}
        self.hits = {k: np.zeros(number, dtype=np.int64) for k in ks}

    def add(self, sources: npt.NDArray[np.int8], lists: npt.NDArray[np.int64], hits: npt.NDArray[np.bool_]) -> None:
        """sources, lists and hits are (B, n): interest, item (0 for none) and whether it is a target."""
        for k, places in self.places.items():
            cut = sources[:, :k]
            places += np.bincount(cut[lists[:, :k] > 0], minlength=len(places))
            self.hits[k] += np.bincount(cut[hits[:, :k]], minlength=len(places))


def interest_places(use: InterestUse, k: int) -> Values:
    """Share of all list places that each interest filled, in slices interest=0, interest=1 and so on.

    A place belongs to the interest with the largest score for its item; a share near 1 means that
    one interest makes the lists alone. This project's own figure.
    """
    return _shares(use.places[k])


def interest_hits(use: InterestUse, k: int) -> Values:
    """Share of all hits that each interest brought, in slices interest=0, interest=1 and so on.

    A hit belongs to the interest with the largest score for its item. This project's own figure.
    """
    return _shares(use.hits[k])


def _shares(counts: npt.NDArray[np.int64]) -> Values:
    shares: Values = counts / max(1, counts.sum())
    return shares


SHARES: dict[str, Callable[[InterestUse, int], Values]] = {
    "interest_places": interest_places,
    "interest_hits": interest_hits,
}
