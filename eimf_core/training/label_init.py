"""Item vectors that start from the words of the labels, and from what goes with them in histories.

    x_i = mean of the text vectors of the interests that item i shows, less the mean of all text vectors

spread over the items that stand near each other in histories (`neighbours`). Scaled to length 1, the x_i are
projected on their first d principal components; the adapter starts as the same projection of the centred words,
so that words and items nearly meet before the first step: lengths are scaled away, and the mean of the spread x_i,
which their components are taken about, is left in the words (without it they meet less). An item that nothing is
known of keeps its random start. This use is the project's own.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse

from eimf_core.dataset import SplitData
from eimf_core.numeric.arrays import Bools, Doubles, Floats
from eimf_core.training.labels import Labels
from eimf_core.training.learner import Learner
from eimf_core.training.neighbour_init import fill, neighbours, project


@torch.no_grad()
def init_from_labels(learner: Learner, labels: Labels, train: SplitData) -> int:
    """Move the item vectors and the adapter of a fresh learner to where labels see them. Draws nothing.

    Args:
        learner: is changed.
        labels: say words of items.
        train: whose histories the words spread along.

    Returns:
        How many items were placed, 0 where the words do not tell items apart.
    """
    weight = learner.table.weight
    shares, known = text_shares(labels, len(weight))
    mean = labels.vectors.mean(axis=0)
    words = np.empty((len(weight), len(mean)), dtype=np.float32)

    def columns(block: slice) -> Doubles:
        return np.asarray(shares @ (labels.vectors[:, block].astype(np.float64) - mean[block]))

    known = fill(words, columns, known, neighbours(train, len(weight)))
    placed, components = project(weight, words, known)
    if components is not None and learner.adapter is not None:
        learner.adapter.weight.copy_(torch.from_numpy(components))
        learner.adapter.bias.copy_(torch.from_numpy(-components @ mean))
    return placed


@torch.no_grad()
def init_adapter_from_text(learner: Learner, mean: Floats, projection: Floats) -> None:
    """Start the adapter as the map that places items by their text, so that words and items that start from titles meet
    before the first step. Draws nothing.

    Args:
        learner: its adapter is changed, if it has one.
        mean: of text vectors, (D,).
        projection: of centred ones, (d, D).
    """
    # an adapter of zeros would learn from a vector without a direction
    if learner.adapter is None or not projection.any():
        return
    learner.adapter.weight.copy_(torch.from_numpy(projection))
    learner.adapter.bias.copy_(torch.from_numpy(-projection @ mean))


def text_shares(labels: Labels, rows: int) -> tuple[sparse.csr_matrix, Bools]:
    """The share of each text in the mean of the texts of an item, (rows, texts), and which items have any."""
    texts, items = labels.text_items
    pairs = sparse.csr_matrix((np.ones(len(texts)), (items, texts)), shape=(rows, len(labels.vectors)))
    counts = np.asarray(pairs.sum(axis=1)).ravel()
    return sparse.diags(1.0 / np.maximum(counts, 1)) @ pairs, counts > 0
