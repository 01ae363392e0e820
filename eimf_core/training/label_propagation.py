"""Label propagation: items of users without a label have the words of the labelled user they resemble most.

Each unlabelled training user belongs to the cluster whose labelled users' mean is nearest, and there to
the nearest labelled user, by the cosine of the mean text vectors of their training histories; below a
threshold a user has none. After the cluster assignment of Qiao et al., arXiv 2411.09410 (this
project's reading). The assignment is made again from the data, so that labels are all that is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.clustering.user_vectors import UserVectors, history_positions
from eimf_core.dataset import SplitData
from eimf_core.numeric.arrays import Ints
from eimf_core.numeric.vectors import unit_rows
from eimf_core.training.labels import Labels

BLOCK = 1024  # users whose items are looked at together


@dataclass(frozen=True)
class Propagated:
    """The training user `users[i]` (rising), who has no label, is given the label of labelled user `source[i]`."""

    users: Ints
    source: Ints

    def __len__(self) -> int:
        return len(self.users)


def find(labels: Labels, train: SplitData, text: npt.NDArray[Any], least: float) -> Propagated:
    """Whose label each unlabelled user is given.

    Args:
        labels: the labels there are.
        train: the training lines.
        text: (N + 1, D), the items' text vectors, zero where an item has none.
        least: the smallest cosine of two users.

    Returns:
        The users with a propagated label; those with fewer than two items or without text have none.
    """
    vectors = UserVectors(train, text)
    donors = vectors.rows(labels.users)
    clusters = np.unique(labels.clusters)
    members = [np.flatnonzero(labels.clusters == cluster) for cluster in clusters]
    centres = unit_rows(np.stack([donors[chosen].mean(axis=0) for chosen in members]))
    lengths = np.diff(train.offsets)
    users, source = [], []
    for block, rows in vectors.blocks():
        free = (lengths[block] > 1) & rows.any(axis=1) & ~np.isin(block, labels.users)
        nearest = (rows @ centres.T).argmax(axis=1)
        for number, chosen in enumerate(members):
            here = np.flatnonzero(free & (nearest == number))
            cosines = rows[here] @ donors[chosen].T
            near = cosines.max(axis=1, initial=-1.0) >= least
            users.append(block[here[near]])
            source.append(chosen[cosines[near].argmax(axis=1)])
    found, donor = np.concatenate(users), np.concatenate(source)
    order = np.argsort(found)
    return Propagated(found[order].astype(np.int64), donor[order].astype(np.int64))


def with_items(
    labels: Labels, propagated: Propagated, train: SplitData, text: npt.NDArray[Any], least: float
) -> Labels:
    """Labels with more items for their words.

    Each item of a user with a propagated label is given to the interest whose words are nearest to its text.

    Args:
        labels: of the run.
        propagated: whose label each unlabelled user has.
        train: the training split.
        text: of items, (N + 1, D).
        least: cosine of words and text that this needs.

    Returns:
        The labels with these items.
    """
    words = unit_rows(labels.vectors)
    pairs = [labels.text_items]
    for start in range(0, len(propagated), BLOCK):
        block = slice(start, start + BLOCK)
        at, bounds = history_positions(train.offsets, propagated.users[block])
        texts = np.repeat(labels.padded(propagated.source[block]), np.diff(bounds), axis=0)
        had = train.items[at].astype(np.int64)
        rows, place = np.unique(had, return_inverse=True)
        items = unit_rows(np.asarray(text[rows], dtype=np.float32))[place]
        # one interest after the other: all at once, their vectors would fill the memory
        cosines = np.stack([np.einsum("nd,nd->n", items, words[column]) for column in texts.T], axis=1)
        cosines[texts < 0] = -np.inf
        best = cosines.argmax(axis=1)[:, None]
        near = np.take_along_axis(cosines, best, axis=1)[:, 0] >= least
        pairs.append(np.stack([np.take_along_axis(texts, best, axis=1)[near, 0], had[near]]))
    return replace(labels, text_items=np.unique(np.concatenate(pairs, axis=1), axis=1))
