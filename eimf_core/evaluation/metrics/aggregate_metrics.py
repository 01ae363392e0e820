"""What all lists together are like: coverage of the catalogue, Gini index; and how sure these figures are.

Both are figures of the whole set of users. A bootstrap would mislead: users drawn with replacement hold
two thirds of the different users, so that resampled coverage lies below the figure itself. Their
interval is the jackknife's instead: how much the figure moves when one user is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Doubles, Ints

MAX_PLACES = 10_000_000
"""Places of lists that are kept for the jackknife (40 MiB); of more users, so many are drawn."""
NORMAL = 1.959964
"""Standard deviations on each side of a 95 % interval."""


def coverage(recommended: Ints) -> float:
    """Share of the catalogue that stands in at least one list.

    It grows with the number of users: compare it only for the same users.
    Source: Ge, Delgado-Battenfeld and Jannach, RecSys 2010.
    """
    return float((recommended[1:] > 0).mean())


def coverage_influence(recommended: Ints) -> Doubles:
    """What coverage loses when each item (N + 1,) is recommended once less."""
    influence: Doubles = (recommended == 1) / (len(recommended) - 1)
    return influence


def gini(recommended: Ints) -> float:
    """Gini index of how often each item is recommended: 0 all alike, towards 1 all on one item.

    sum_j (2 j - N - 1) x_(j) / (N sum x), with x_(1) <= ... <= x_(N) over the whole catalogue.
    Source: Fleder and Hosanagar, Management Science 55(5), 2009.
    """
    ordered = np.sort(recommended[1:]).astype(np.float64)
    if not ordered.any():
        return 0.0
    number = len(ordered)
    return float(((2 * np.arange(1, number + 1) - number - 1) * ordered).sum() / (number * ordered.sum()))


def gini_influence(recommended: Ints) -> Doubles:
    """What the Gini index loses when each item (N + 1,) is recommended once less: (2 r_i - N - 1) / (N S) - G / S.

    r_i is the rank of the count, the lowest where counts are equal, and S their sum (in full S - 1).
    """
    influence = np.zeros(len(recommended))
    if (total := recommended[1:].sum()) > 0:
        from scipy.stats import rankdata

        number = len(recommended) - 1
        influence[1:] = (
            (2 * rankdata(recommended[1:], method="min") - number - 1) / number - gini(recommended)
        ) / total
    return influence


class Aggregate(NamedTuple):
    """A metric of all lists together, and the influence of each item on it, which its interval comes from."""

    value: Callable[[Ints], float]
    influence: Callable[[Ints], Doubles]


AGGREGATES = {
    "coverage": Aggregate(coverage, coverage_influence),
    "gini": Aggregate(gini, gini_influence),
}


@dataclass(frozen=True)
class AggregateValue:
    """A figure of all lists, and the influence of each of the sampled users (n,) on it."""

    value: float
    influence: Doubles


def list_aggregates(recommended: Ints, lists: npt.NDArray[np.int32]) -> dict[str, AggregateValue]:
    """The figures of lists of one length.

    Args:
        recommended: how many times each item was recommended, (N + 1,).
        lists: of the sampled users, (n, k).

    Returns:
        By metric its value, and how much each sampled user's list adds to it, (n,).
    """
    return {
        name: AggregateValue(
            metric.value(recommended), np.where(lists > 0, metric.influence(recommended)[lists], 0).sum(axis=1)
        )
        for name, metric in AGGREGATES.items()
    }


def sampled_users(users: int, longest: int) -> npt.NDArray[np.int64]:
    """The users whose lists are kept for the jackknife: all of them where there is room; the same for every system.

    Args:
        users: how many there are.
        longest: length of the longest list.

    Returns:
        Rows, rising, (n,).
    """
    number = min(users, max(1, MAX_PLACES // longest))
    return np.sort(np.random.default_rng(users).choice(users, size=number, replace=False))


def jackknife_interval(value: float, influence: Doubles, users: int) -> tuple[float, float]:
    """The 95 % interval of a figure of all lists: value +- 1.96 sqrt((U - 1) * variance of the influences).

    With the influence of all U users this is the delete-one jackknife, for Gini with those of a list's items
    added up; with some of them, an estimate of it.

    Args:
        value: the figure.
        influence: how much each sampled user's list adds to it, (n,).
        users: U.

    Returns:
        The bounds, within [0, 1].

    Source: Efron and Tibshirani, 1993, ch. 11.
    """
    reach = NORMAL * math.sqrt(max(0, users - 1) * float(np.var(influence)))
    return max(0.0, value - reach), min(1.0, value + reach)
