"""Lists that trade relevance for a variety of categories: ComiRec's controllable aggregation.

Q(S) = sum_(i in S) f(i) + λ sum_(i, j in S) g(i, j), with f the score and g the difference of two items'
categories: 1 - |A and B| / |A or B|, which for one category each is "another category". An item without
categories differs from none. The set grows greedily by the item that adds most.
Source: Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.category_numbers import numbered

CANDIDATES = 10
"""Times the length of the list: the best items by score among which it is chosen."""
MIN_CANDIDATES = 100


def candidates(k: int) -> int:
    """How many of the items with the highest scores a diversified list of `k` is chosen from."""
    return max(MIN_CANDIDATES, CANDIDATES * k)


def greedy(
    scores: npt.NDArray[np.float32], categories: Sequence[Sequence[str]], k: int, weight: float
) -> npt.NDArray[np.int64]:
    """Choose candidates one by one, each by its score and how far its categories are from those chosen before.

    Args:
        scores: of the candidates, (n,), falling.
        categories: of each candidate.
        k: how many are chosen.
        weight: λ, of diversity.

    Returns:
        Places of the chosen, (k,) or (n,), in the order they were chosen; ties go to the first.
    """
    held = _membership(categories)
    sizes = held.sum(axis=1)
    gains = scores.astype(np.float64)
    chosen: list[int] = []
    for _ in range(min(k, len(scores))):
        best = int(gains.argmax())
        chosen.append(best)
        both = held @ held[best]
        either = sizes + sizes[best] - both
        filled = (sizes > 0) & (sizes[best] > 0)
        # each pair is counted once in the gain: the order of a pair means nothing
        gains += weight * np.where(filled, 1 - both / np.maximum(either, 1), 0.0)
        gains[best] = -np.inf
    return np.array(chosen, dtype=np.int64)


def _membership(categories: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
    """1 where a candidate has a category, (n, C)."""
    names, columns, bounds = numbered(categories)
    held = np.zeros((len(categories), max(1, len(names))))
    held[np.repeat(np.arange(len(held)), np.diff(bounds)), columns] = 1
    return held
