"""Item vectors that start from the words of the labels, and from what goes with them in histories.

    x_i = mean of the text vectors of the interests that item i shows, less the mean of all text vectors
    x_i <- (x_i + mean_j x_j) / 2,  or mean_j x_j where no label speaks of i;  twice

where j runs over the items with a vector that stand at most REACH places from i in a training history, each
as often as it does, 1 / places. Scaled to length 1, the x_i are projected on their first d principal
components; the adapter starts as the same projection of the centred words, so that words and items meet
before the first step, but for the lengths that are scaled away.
An item that nothing is known of keeps its random start. The smoothing is label propagation (Zhu and
Ghahramani, CMU-CALD-02-107, 2002) on the graph of neighbouring items; the use is this project's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from eimf_core.dataset import SplitData
from eimf_core.training.items import DEVIATION, NOISE, Text, principal_components
from eimf_core.training.labels import Labels
from eimf_core.training.learner import Learner

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
REACH, ROUNDS, OWN = 3, 2, 0.5


@torch.no_grad()
def place(learner: Learner, labels: Labels, train: SplitData) -> int:
    """Move the item vectors and the adapter of a fresh learner to where labels see them; returns for how many
    items something is known. Draws nothing."""
    weight = learner.table.weight
    words, known = from_words(labels, len(weight))
    words, known = spread(words, known, neighbours(train, len(weight)))
    lengths = np.linalg.norm(words, axis=1)
    known &= lengths > 1e-9
    rows = np.flatnonzero(known)
    if not len(rows):
        return 0
    directions = (words[rows] / lengths[rows, None]).astype(np.float32)
    mean, components = principal_components(
        np.concatenate([np.zeros_like(directions[:1]), directions]), weight.shape[1]
    )
    if not components.any():
        return 0
    placed = torch.from_numpy((directions - mean) @ components.T)
    at = torch.from_numpy(rows)
    # the random start, as small as where vectors start from text, keeps items with the same words apart
    weight[at] = placed + NOISE / DEVIATION * weight[at]
    if learner.adapter is not None:
        learner.adapter.weight.copy_(torch.from_numpy(components))
        learner.adapter.bias.copy_(torch.from_numpy(-components @ labels.vectors.mean(axis=0)))
    return len(rows)


@torch.no_grad()
def meet(learner: Learner, text: Text) -> None:
    """Start the adapter as the projection that places items by their text (N + 1, D), so that words and items
    that start from titles meet before the first step. Draws nothing."""
    if learner.adapter is None:
        return
    mean, components = principal_components(text, learner.table.weight.shape[1])
    # an adapter of zeros would learn from a vector without a direction
    if not components.any():
        return
    learner.adapter.weight.copy_(torch.from_numpy(components))
    learner.adapter.bias.copy_(torch.from_numpy(-components @ mean))


def from_words(labels: Labels, rows: int) -> tuple[Doubles, Flags]:
    """The mean text vector (rows, D) of what each item shows, centred, and which items show something."""
    texts, items = labels.shown
    pairs = sparse.csr_matrix((np.ones(len(texts)), (items, texts)), shape=(rows, len(labels.vectors)))
    counts = np.asarray(pairs.sum(axis=1)).ravel()
    centred = labels.vectors.astype(np.float64) - labels.vectors.mean(axis=0)
    return (pairs @ centred) / np.maximum(counts, 1)[:, None], counts > 0


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


def spread(vectors: Doubles, known: Flags, links: sparse.csr_matrix) -> tuple[Doubles, Flags]:
    """Vectors (rows, D) drawn to those of their neighbours, and which rows have one now; neither input changes."""
    for _ in range(ROUNDS):
        near = links[:, known]
        weights = np.asarray(near.sum(axis=1)).ravel()
        means = (near @ vectors[known]) / np.where(weights > 0, weights, 1.0)[:, None]
        own = np.where(known, np.where(weights > 0, OWN, 1.0), 0.0)[:, None]
        vectors, known = own * vectors + (1.0 - own) * means, known | (weights > 0)
    return vectors, known
