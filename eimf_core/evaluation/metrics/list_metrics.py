"""What each user's list is like, whatever the targets: novelty, popularity, diversity.

The metrics take `lists`, item indices (U, n >= k) with 0 for "no item", the facts of the catalogue
and the cutoff k, and return (U,) float64, NaN for a list without what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Dataset
from eimf_core.numeric.arrays import Doubles
from eimf_core.numeric.category_numbers import numbered

Lists = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CatalogueFacts:
    """What the list metrics need to know of the items; row or entry 0 is padding.

    `interactions` (N + 1,): training interactions; `information` (N + 1,): -log2 of the share of
    training users who have the item; `categories`: scipy CSR (N + 1, C), rows of length 1 (or empty),
    None without categories; `texts`: float32 (N + 1, D), rows of length 1, None without text vectors.
    """

    interactions: Doubles
    information: Doubles
    categories: Any = None
    texts: npt.NDArray[np.float32] | None = None


def catalogue_facts(dataset: Dataset, texts: npt.NDArray[np.float32] | None = None) -> CatalogueFacts:
    """The facts of a data set's catalogue, from its training lines and item records.

    Args:
        dataset: with its training lines.
        texts: text vectors (N + 1, D), rows of length 1, if they are wanted.

    Returns:
        What list metrics need.
    """
    train = dataset.splits["train"]
    width = len(dataset.vocab) + 1
    owners = np.repeat(np.arange(len(train)), np.diff(train.offsets))
    users = np.bincount(np.unique(owners * width + train.items) % width, minlength=width)
    # an item that nobody has counts as if one user had it
    information = -np.log2(np.maximum(users, 1) / max(1, len(train)))
    return CatalogueFacts(
        interactions=dataset.counts().astype(np.float64),
        information=information,
        categories=_categories(dataset),
        texts=texts,
    )


def _categories(dataset: Dataset) -> Any:
    from scipy.sparse import csr_array

    names, columns, bounds = numbered([[], *(sorted(item.categories) for item in dataset.items)])
    if not names:
        return None
    lengths = np.diff(bounds)
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    return csr_array((values, columns, bounds), shape=(len(lengths), len(names)))


def novelty(lists: Lists, facts: CatalogueFacts, k: int) -> Doubles:
    """Mean self-information of the listed items in bits: mean_i of log2(U / u_i).

    U is the number of training users, u_i of those who have item i (at least 1).
    Source: Zhou et al., PNAS 107(10), 2010.
    """
    return _mean(facts.information, lists[:, :k])


def popularity(lists: Lists, facts: CatalogueFacts, k: int) -> Doubles:
    """Mean number of training interactions of the listed items (average recommendation popularity).

    Source: Yin et al., VLDB 5(9), 2012.
    """
    return _mean(facts.interactions, lists[:, :k])


def diversity_category(lists: Lists, facts: CatalogueFacts, k: int) -> Doubles:
    """Intra-list diversity: mean over pairs of listed items of 1 - cosine of their category sets.

    cosine(A, B) = |A and B| / sqrt(|A| |B|). Items without categories are left out of the pairs.
    Source: Ziegler et al., WWW 2005.
    """
    if facts.categories is None:
        return np.full(len(lists), np.nan)
    from scipy.sparse import csr_array

    cut = lists[:, :k]
    filled = np.diff(facts.categories.indptr)[cut] > 0
    numbers = filled.sum(axis=1)
    chosen = csr_array(
        (np.ones(int(numbers.sum())), cut[filled], np.concatenate([[0], np.cumsum(numbers)])),
        shape=(len(cut), facts.categories.shape[0]),
    )
    total = chosen @ facts.categories
    squares = np.asarray(total.multiply(total).sum(axis=1)).ravel()
    return _mean_cosine_distance(squares, numbers)


def diversity_text(lists: Lists, facts: CatalogueFacts, k: int) -> Doubles:
    """Intra-list diversity: mean over pairs of listed items of 1 - cosine of their text vectors.

    Source: Ziegler et al., WWW 2005, with text vectors for topics.
    """
    if facts.texts is None:
        return np.full(len(lists), np.nan)
    cut = lists[:, :k]
    total = facts.texts[cut].sum(axis=1, where=(cut > 0)[:, :, None], dtype=np.float64)
    return _mean_cosine_distance((total**2).sum(axis=1), (cut > 0).sum(axis=1))


def _mean(of: Doubles, lists: Lists) -> Doubles:
    filled = lists > 0
    with np.errstate(invalid="ignore"):
        means: Doubles = np.where(filled, of[lists], 0.0).sum(axis=1) / filled.sum(axis=1)
    return means


def _mean_cosine_distance(squares: Doubles, numbers: npt.NDArray[np.int64]) -> Doubles:
    # the squared length of a sum of unit vectors is their number plus twice the cosines of all pairs
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Doubles = 1 - (squares - numbers) / (numbers * (numbers - 1))
    means[numbers < 2] = np.nan
    return means


PER_USER: dict[str, Callable[[Lists, CatalogueFacts, int], Doubles]] = {
    "novelty": novelty,
    "popularity": popularity,
    "diversity_category": diversity_category,
    "diversity_text": diversity_text,
}
