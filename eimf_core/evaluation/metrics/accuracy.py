"""Accuracy of ranked lists against a set of targets, per user, as in the formulas.

Every function takes `hits`, bool (U, n >= k): whether the item at each rank is a target, best
rank first; `wanted`, (U,): how many targets there are (at least 1); and the cutoff k. It returns
(U,) float64, each between 0 and 1. rel_i is 1 when rank i holds a target, T is the number of
targets. The mean over users is the figure. `eimf eval --help-metrics` prints the docstrings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Doubles, Ints

Hits = npt.NDArray[np.bool_]


def recall(hits: Hits, wanted: Ints, k: int) -> Doubles:
    """Share of the targets that the list holds: sum_(i<=k) rel_i / T.

    T is not cut at k: a user with more than k targets cannot reach 1.
    Source: Herlocker et al., ACM TOIS 22(1), 2004.
    """
    found: Doubles = hits[:, :k].sum(axis=1) / wanted
    return found


def hit_rate(hits: Hits, wanted: Ints, k: int) -> Doubles:
    """1 when the list holds any target, else 0: max_(i<=k) rel_i.

    Source: Deshpande and Karypis, ACM TOIS 22(1), 2004.
    """
    hit: Doubles = hits[:, :k].max(axis=1).astype(np.float64)
    return hit


def precision(hits: Hits, wanted: Ints, k: int) -> Doubles:
    """Share of the list's k places that hold a target: sum_(i<=k) rel_i / k.

    Source: Herlocker et al., ACM TOIS 22(1), 2004.
    """
    found: Doubles = hits[:, :k].sum(axis=1) / np.float64(k)
    return found


def ndcg(hits: Hits, wanted: Ints, k: int) -> Doubles:
    """Discounted gain over the best possible gain: DCG / IDCG.

    DCG = sum_(i<=k) rel_i / log2(i + 1), IDCG = sum_(i<=min(k, T)) 1 / log2(i + 1).

    Source: Järvelin and Kekäläinen, ACM TOIS 20(4), 2002, with binary gain.
    """
    gain: Doubles = _gain(hits, k) / _ideal(np.minimum(wanted, k), k)
    return gain


def ndcg_hits(hits: Hits, wanted: Ints, k: int) -> Doubles:
    """NOT the standard NDCG: DCG / best gain of as many targets as were hit.

    DCG = sum_(i<=k) rel_i / log2(i + 1), divided by sum_(i<=number of hits) 1 / log2(i + 1). It does
    not fall when targets are missed. Only for comparison with tables made by the published ComiRec
    code and its descendants; never given unless asked for by name.
    Source: code beside Cen et al., KDD 2020.
    """
    found = hits[:, :k].sum(axis=1)
    gain: Doubles = np.where(found > 0, _gain(hits, k) / _ideal(np.maximum(found, 1), k), 0.0)
    return gain


def mrr(hits: Hits, wanted: Ints, k: int) -> Doubles:
    """1 / rank of the first target within the list, 0 without one: max_(i<=k) rel_i / i.

    Source: Voorhees, TREC-8, 1999.
    """
    cut = hits[:, :k]
    best: Doubles = (cut / np.arange(1, cut.shape[1] + 1)).max(axis=1, initial=0.0)
    return best


def average_precision(hits: Hits, wanted: Ints, k: int) -> Doubles:
    """Mean of the precision at the ranks of the targets: sum_(i<=k) rel_i * precision_i / min(k, T).

    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, ch. 8,
    with the divisor cut at k.
    """
    cut = hits[:, :k]
    precisions = cut.cumsum(axis=1) / np.arange(1, cut.shape[1] + 1)
    mean: Doubles = (cut * precisions).sum(axis=1) / np.minimum(wanted, k)
    return mean


def _gain(hits: Hits, k: int) -> Doubles:
    cut = hits[:, :k]
    gain: Doubles = cut @ discounts(cut.shape[1])
    return gain


def _ideal(numbers: Ints, k: int) -> Doubles:
    best: Doubles = np.cumsum(discounts(k))[numbers - 1]
    return best


def discounts(k: int) -> Doubles:
    """What a hit counts at each rank of a list of k, in DCG: 1 / log2(i + 1), i = 1 ... k.

    Args:
        k: length of the list.

    Returns:
        float64 (k,).
    """
    made: Doubles = 1 / np.log2(np.arange(2, k + 2))
    return made


Accuracy = Callable[[Hits, Ints, int], Doubles]
ACCURACY: dict[str, Accuracy] = {
    "recall": recall,
    "hit_rate": hit_rate,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": average_precision,
    "precision": precision,
    "ndcg_hits": ndcg_hits,
}


def find_hits(lists: npt.NDArray[np.integer], rows: Ints, targets: npt.NDArray[np.integer], width: int) -> Hits:
    """Which places of lists hold a target.

    Args:
        lists: item indices (B, n), 0 where there is no item, which is never a hit.
        rows: the row that each target belongs to, (T,), rising.
        targets: item indices (T,), rising within a row.
        width: N + 1.

    Returns:
        (B, n).
    """
    keys = np.append(rows * width + targets, np.iinfo(np.int64).max)
    places = np.arange(len(lists))[:, None] * width + lists
    found: Hits = keys[np.searchsorted(keys, places)] == places
    return found & (lists > 0)
