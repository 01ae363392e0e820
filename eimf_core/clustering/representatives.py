"""Which users stand for each cluster: the budget shared out, the nearest rich histories, no near-duplicates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import SplitData
from eimf_core.numeric.arrays import Floats, Ints


@dataclass(frozen=True)
class Representatives:
    """Chosen users per cluster, the first choice first, and how many were passed over as near-duplicates."""

    users: list[list[int]]
    near_duplicates: int


def choose(
    labels: npt.NDArray[np.int32],
    distances: Floats,
    distinct: Ints,
    train: SplitData,
    *,
    budget: int,
    rich: int,
    overlap: float,
) -> Representatives:
    """Representative users of all clusters under one budget.

    A cluster's share goes by its size (see `shares`). Rich histories come before others, then the nearer to the
    centre; among the poor the longer come first. What a cluster cannot give goes to the others.

    Args:
        labels: int32 (U,), the cluster of each user or -1.
        distances: float32 (U,), to the centre of the own cluster.
        distinct: int64 (U,), the number of distinct items.
        train: the histories.
        budget: number of users in all.
        rich: distinct items from which on a history is rich.
        overlap: Jaccard similarity above which a user is a near-duplicate of a chosen one.

    Returns:
        The chosen users of each cluster, the best first.
    """
    clusters = int(labels.max()) + 1
    sizes = np.bincount(labels[labels >= 0], minlength=clusters)
    rarity = np.bincount(train.items)
    order = np.lexsort((distances, -np.minimum(distinct, rich), labels))
    members = np.split(order[np.searchsorted(labels[order], 0) :], np.cumsum(sizes)[:-1])
    walks = [DistinctUsers(users, train, rarity, overlap) for users in members]
    chosen: list[list[int]] = [[] for _ in members]
    available = sizes.copy()
    while left := budget - sum(map(len, chosen)):
        more = shares(sizes, available, left)
        if not more.any():
            break
        for cluster, count in enumerate(more):
            for _ in range(count):
                user = next(walks[cluster], None)
                if user is None:
                    available[cluster] = 0
                    break
                chosen[cluster].append(user)
                available[cluster] -= 1
    return Representatives(chosen, sum(walk.near_duplicates for walk in walks))


def shares(sizes: Ints, available: Ints, budget: int) -> Ints:
    """A budget shared out in proportion to sizes by largest remainders.

    Where the budget reaches, every cluster that has anyone gives at least one; the largest shares pay.

    Args:
        sizes, available: int64 (K,), users of each cluster, and those of them that can still be chosen.
        budget: number of users in all.

    Returns:
        int64 (K,), at most what is available.
    """
    weights = np.where(available > 0, sizes, 0)
    given = np.zeros(len(sizes), dtype=np.int64)
    if budget <= 0 or not weights.any():
        return given
    exact = budget * weights / weights.sum()
    given += np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(given - exact, kind="stable")
    given[by_remainder[: budget - given.sum()]] += 1
    if budget >= np.count_nonzero(weights):
        for cluster in np.flatnonzero((given == 0) & (weights > 0)):
            given[np.argmax(given)] -= 1
            given[cluster] = 1
    return np.minimum(given, available, out=given)


class DistinctUsers(Iterator[int]):
    """Walks over users in a given order and passes over those that nearly repeat one it gave before.

    Two sets with a Jaccard similarity above t share one of the 1 + (1 - t) n rarest items of each
    (the prefix filter of Bayardo, Ma and Srikant, WWW 2007), so only users with such an item in
    common are compared.
    """

    def __init__(self, users: Ints, train: SplitData, rarity: Ints, overlap: float) -> None:
        self._users = iter(users.tolist())
        self._train, self._rarity, self._overlap = train, rarity, overlap
        self._given: list[npt.NDArray[np.int32]] = []
        self._with_item: dict[int, list[int]] = {}
        self.near_duplicates = 0

    def __next__(self) -> int:
        for user in self._users:
            items = np.unique(self._train.history(user))
            rarest = items[np.lexsort((items, self._rarity[items]))]
            prefix = rarest[: 1 + len(items) - math.ceil(self._overlap * len(items))].tolist()
            if self._repeats(items, prefix):
                self.near_duplicates += 1
                continue
            for item in prefix:
                self._with_item.setdefault(item, []).append(len(self._given))
            self._given.append(items)
            return int(user)
        raise StopIteration

    def _repeats(self, items: npt.NDArray[np.int32], prefix: list[int]) -> bool:
        near = {at for item in prefix for at in self._with_item.get(item, ())}
        for at in near:
            common = len(np.intersect1d(items, self._given[at], assume_unique=True))
            if common > self._overlap * (len(items) + len(self._given[at]) - common):
                return True
        return False
