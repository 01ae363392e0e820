"""Item vectors initialised from text by canonical correlation analysis (CCA): the directions of text in which items
near each other in histories agree.

    S w_j = l_j (C + r tr(C) / D I) w_j,  l_1 >= l_2 >= ...;   W = (sqrt(l_1) w_1, ..., sqrt(l_d) w_d)'

S is the covariance (D, D) between the text vectors of neighbours in training histories, C that of their text vectors.
This is CCA (Hotelling, Biometrika 28, 1936) with a ridge, whose two views are the texts of two neighbours; the w_j are
its canonical directions. Scaled so, W is the linear map that minimises the spectral contrastive loss over pairs of
neighbours (HaoChen et al., NeurIPS 2021). Principal components keep what sets texts apart, whether or not it has a part
in what follows what.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from eimf_core.dataset import SplitData
from eimf_core.numeric.arrays import AnyFloats, Doubles, Floats
from eimf_core.training.item_embeddings import CHUNK, SAME, mean_and_covariance, principal_components, scaled
from eimf_core.training.neighbour_init import BLOCK, neighbours

RIDGE = 0.03  # r: directions that hardly any text has are not trusted


def cca_projection(text: AnyFloats, train: SplitData, dimension: int) -> tuple[Floats, Floats]:
    """The map from text to where item vectors start.

    Args:
        text: text vectors (N + 1, D), rows of zeros for items without a text.
        train: the training histories.
        dimension: d, that of item vectors.

    Returns:
        The mean (D,) of the text vectors, and W (d, D), which maps centred ones to vectors whose elements have the
        standard deviation `item_embeddings.DEVIATION`. Rows of W are zero where no further direction agrees; without
        neighbours they are the principal components.
    """
    between, within = covariances(text, train)
    spread = np.trace(within) / len(within)
    if spread <= SAME:
        return principal_components(text, dimension)
    width = min(dimension, len(within))
    values, vectors = linalg.eigh(
        between,
        within + RIDGE * spread * np.eye(len(within)),
        subset_by_index=(len(within) - width, len(within) - 1),
    )
    components = np.zeros((dimension, len(within)))
    components[:width] = (vectors * np.sqrt(np.maximum(values, 0.0))).T[::-1]
    mean, covariance = mean_and_covariance(text)
    return mean.astype(np.float32), scaled(components, covariance)


def covariances(text: AnyFloats, train: SplitData) -> tuple[Doubles, Doubles]:
    """Covariances (D, D) between the text vectors (N + 1, D) of neighbours, and of theirs; each pair counts both ways.
    A pair of which one has no text does not count."""
    starts = range(0, len(text), CHUNK)
    there = sparse.diags(np.concatenate([text[start : start + CHUNK].any(axis=1) for start in starts]).astype(float))
    links = there @ neighbours(train, len(text)) @ there
    weights = np.asarray(links.sum(axis=1)).ravel()
    width = text.shape[1]
    between, within, total = np.zeros((width, width)), np.zeros((width, width)), np.zeros(width)
    # a few columns at a time: the vectors of a million items, spread, would take gigabytes
    for first in range(0, width, BLOCK):
        block = slice(first, first + BLOCK)
        beside = links @ text[:, block].astype(np.float64)
        for start in starts:
            rows = slice(start, start + CHUNK)
            part = text[rows].astype(np.float64)
            between[:, block] += part.T @ beside[rows]
            within[:, block] += part.T @ (part[:, block] * weights[rows, None])
            total[block] += weights[rows] @ part[:, block]
    count = max(weights.sum(), 1.0)
    mean = total / count
    square = np.outer(mean, mean)
    return between / count - square, within / count - square
