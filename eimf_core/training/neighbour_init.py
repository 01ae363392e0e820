"""Items that stand near each other in training histories, and vectors that spread over them.

    x_i <- (x_i + mean_j x_j) / 2,  or mean_j x_j where i has none yet;  ROUNDS times

where j runs over the items with a vector that stand at most REACH places from i in a training history, each
as often as it does, 1 / places: label propagation (Zhu and Ghahramani, CMU-CALD-02-107, 2002) on the graph of
neighbouring items. Spread from random directions, the vectors on their first principal components are those of
the smoothed graph, as random projections find them (Halko et al., SIAM Review 53, 2011).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from eimf_core.dataset import SplitData
from eimf_core.numeric.arrays import Bools, Doubles, Floats
from eimf_core.numeric.vectors import SHORTEST, row_lengths
from eimf_core.training.item_embeddings import DEVIATION, NOISE, principal_components

REACH, ROUNDS, OWN = 3, 2, 0.5
WIDTH = 2  # random directions a dimension
BLOCK = 64  # columns spread at a time


@torch.no_grad()
def init_from_neighbours(weight: torch.Tensor, train: SplitData, generator: torch.Generator) -> int:
    """Move a fresh table to where histories see its items.

    Args:
        weight: (N + 1, d), is changed.
        train: the training split.
        generator: draws the random directions.

    Returns:
        How many items were moved.
    """
    vectors = torch.empty(len(weight), WIDTH * weight.shape[1]).normal_(generator=generator).numpy()
    known = np.zeros(len(weight), dtype=bool)
    known[np.unique(train.items)] = True
    links = neighbours(train, len(weight))
    known &= np.asarray(links.sum(axis=1)).ravel() > 0
    known = fill(vectors, lambda block: vectors[:, block].astype(np.float64), known, links)
    return project(weight, vectors, known)[0]


def fill(out: Floats, columns: Callable[[slice], Doubles], known: Bools, links: sparse.csr_matrix) -> Bools:
    """Spread vectors over neighbours. All columns of a million items at once would take gigabytes, several times over.

    Args:
        out: (rows, D), is written.
        columns: gives a block of columns of what is spread, (rows, BLOCK).
        known: which rows have a vector, (rows,).
        links: of `neighbours`, (rows, rows).

    Returns:
        Which rows have a vector now, (rows,).
    """
    reached = known
    for start in range(0, out.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        out[:, block], reached = propagate(columns(block), known, links)
    return reached


def project(
    weight: torch.Tensor, vectors: npt.NDArray[Any], known: Bools
) -> tuple[int, npt.NDArray[np.float32] | None]:
    """Put rows of a table where their vectors project to on the first principal components of these.

    Args:
        weight: the table, (N + 1, d), is changed.
        vectors: (N + 1, D), of which directions count.
        known: which rows have one, (N + 1,).

    Returns:
        How many rows were moved, and the components (d, D), None where none was.
    """
    lengths = row_lengths(vectors)
    rows = np.flatnonzero(known & (lengths > SHORTEST))
    if not len(rows):
        return 0, None
    # the first row is left out of the components
    directions = np.zeros((len(rows) + 1, vectors.shape[1]), dtype=np.float32)
    np.divide(vectors[rows], lengths[rows, None], out=directions[1:], casting="same_kind")
    mean, components = principal_components(directions, weight.shape[1])
    if not components.any():
        return 0, None
    at = torch.from_numpy(rows)
    # the random start, as small as where vectors start from text, keeps items in the same place apart
    directions[1:] -= mean
    weight[at] = torch.from_numpy(directions[1:] @ components.T) + NOISE / DEVIATION * weight[at]
    return len(rows), components


def neighbours(train: SplitData, rows: int) -> sparse.csr_matrix:
    """How often two items stand near each other, (rows, rows), symmetric, an item not near itself."""
    items = train.items.astype(np.int64)
    owner = np.repeat(np.arange(len(train.offsets) - 1), np.diff(train.offsets))
    total: Any = sparse.csr_matrix((rows, rows))
    for gap in range(1, REACH + 1):
        here = (owner[gap:] == owner[:-gap]) & (items[gap:] != items[:-gap])
        one, other = items[:-gap][here], items[gap:][here]
        total = total + sparse.csr_matrix((np.full(len(one), 1.0 / gap), (one, other)), shape=(rows, rows))
    return total + total.T


def propagate(vectors: Doubles, known: Bools, links: sparse.csr_matrix) -> tuple[Doubles, Bools]:
    """Vectors (rows, D) drawn to those of their neighbours, and which rows have one now; neither input changes."""
    vectors = np.where(known[:, None], vectors, 0.0)
    for _ in range(ROUNDS):
        weights = links @ known.astype(np.float64)
        # rows without a vector are zero and add nothing
        means = links @ vectors
        means /= np.where(weights > 0, weights, 1.0)[:, None]
        own = np.where(known, np.where(weights > 0, OWN, 1.0), 0.0)[:, None]
        vectors *= own
        means *= 1.0 - own
        vectors += means
        known = known | (weights > 0)
    return vectors, known
