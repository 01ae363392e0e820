"""Labelled users of a step: who is drawn, with which history, target and interests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import SplitData
from eimf_core.training.config import TrainConfig
from eimf_core.training.labels import Labels

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledBatch:
    """Labelled users of a step: `histories` int64 (B, L), `targets` int64 (B,), one item of each
    history that is not its first, `texts` int64 (B, M), rows of the label vectors or -1."""

    histories: Ints
    targets: Ints
    texts: Ints


def draw(
    labels: Labels | None, train: SplitData, settings: TrainConfig, rng: np.random.Generator
) -> LabelledBatch | None:
    """Labelled users for a step, none twice, each with one target drawn from its history; None where no
    part of the loss asks for them."""
    if labels is None or not (settings.semantic_weight or settings.alignment_weight):
        return None
    count = min(len(labels), max(1, round(settings.labelled_share * settings.batch_size)))
    chosen = rng.choice(len(labels), size=count, replace=False)
    users = labels.users[chosen]
    ends, lengths = train.offsets[users + 1], np.diff(train.offsets)[users]
    kept = np.minimum(lengths, settings.max_length)
    valid = np.arange(int(kept.max())) < kept[:, None]
    at = np.where(valid, (ends - kept)[:, None] + np.arange(valid.shape[1]), (ends - 1)[:, None])
    target = ends - 1 - (rng.random(count) * np.maximum(lengths - 1, 1)).astype(np.int64)
    return LabelledBatch(
        histories=np.where(valid, train.items[at], 0).astype(np.int64),
        targets=train.items[target].astype(np.int64),
        texts=labels.padded(chosen),
    )
