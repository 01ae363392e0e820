"""Labelled users of a step: who is drawn, with which history, target and interests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import SplitData
from eimf_core.training.batches import latest
from eimf_core.training.config import TrainConfig
from eimf_core.training.labels import Labels

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledBatch:
    """Labelled users of a step.

    Attributes:
        histories: int64 (B, L), item indices, 0 where padded at the end.
        targets: int64 (B,), one item of each history, its first only where there is no other.
        texts: int64 (B, M), rows of the label vectors or -1.
        shown: int64 (2, P), texts, each with an item that shows it.
    """

    histories: Ints
    targets: Ints
    texts: Ints
    shown: Ints


def draw(
    labels: Labels | None, train: SplitData, settings: TrainConfig, rng: np.random.Generator
) -> LabelledBatch | None:
    """Labelled users for a step, none twice, each with one target drawn from its history; None where no part of the
    loss asks for them."""
    if labels is None or not settings.uses_labels:
        return None
    # a user alone has nobody to be told from
    wanted = max(2, round(settings.labelled_share * settings.batch_size))
    chosen = rng.choice(len(labels), size=min(len(labels), wanted), replace=False)
    users = labels.users[chosen]
    ends, lengths = train.offsets[users + 1], np.diff(train.offsets)[users]
    target = ends - 1 - (rng.random(len(users)) * np.maximum(lengths - 1, 1)).astype(np.int64)
    pairs = labels.shown[:, :0]
    if settings.label_weights.items and labels.shown.size:
        count = max(2, round(settings.item_share * settings.batch_size))
        pairs = labels.shown[:, rng.integers(labels.shown.shape[1], size=count)]
    return LabelledBatch(
        histories=latest(train, users, settings.max_length),
        targets=train.items[target].astype(np.int64),
        texts=labels.padded(chosen),
        shown=pairs,
    )
