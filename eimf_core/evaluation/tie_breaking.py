"""In which order equal scores are ranked, so that a model that knows nothing scores like chance.

By item index, as `recommend` does, unless the catalogue's order favours what is asked for (ids given
by popularity or by age do): a model of constant scores would then look better, or worse, than it is.
In that case one order of the catalogue is drawn with the seed, the same for all users and systems.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

MAX_DEVIATION = 2.0
"""Standard deviations from chance beyond which the order of the catalogue is taken to matter."""


@dataclass(frozen=True)
class Order:
    """`name` is "index" or "seeded", `priority` (N + 1,) the order, `deviation` what was found, in standard deviations.

    A deviation above 0 says that items in front are asked for more often than others.
    """

    name: Literal["index", "seeded"]
    priority: npt.NDArray[np.int64]
    deviation: float


def order(asked: npt.NDArray[np.int64], ks: Sequence[int], seed: int) -> Order:
    """The order in which ties are broken.

    Args:
        asked: how many users each item is a target of, (N + 1,).
        ks: the cutoffs.
        seed: of the order where that of the catalogue favours targets.

    Returns:
        The order, and how far the targets lean to one end of the catalogue.
    """
    found = deviation(asked[1:], ks)
    if abs(found) <= MAX_DEVIATION:
        return Order("index", np.arange(len(asked)), found)
    return Order("seeded", np.random.default_rng(seed).permutation(len(asked)), found)


def deviation(asked: npt.NDArray[np.int64], ks: Sequence[int]) -> float:
    """How far the targets lean to one end of the catalogue.

    Under the hypothesis that the order of the N items has nothing to do with how often each is asked
    for, Spearman's correlation of the two has the variance 1 / (N - 1), and the sum over the first k
    items is that of k drawn without replacement.

    Args:
        asked: how many users each item is a target of, (N,).
        ks: the cutoffs.

    Returns:
        The largest of several z, with its sign; 0 where nothing can be said.
    """
    number = len(asked)
    if number < 3 or asked.min() == asked.max():
        return 0.0
    from scipy.stats import rankdata

    correlation = float(np.corrcoef(np.arange(number), rankdata(asked))[0, 1])
    found = [-correlation * math.sqrt(number - 1)]
    mean, variance = float(asked.mean()), float(asked.var(ddof=1))
    for k in (k for k in ks if k < number):
        chance = math.sqrt(k * (1 - k / number) * variance)
        found.append((float(asked[:k].sum()) - k * mean) / chance)
    return max(found, key=abs)
