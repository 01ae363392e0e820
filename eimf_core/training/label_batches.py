"""Labelled users of a step: who is drawn, with which history, target and interests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import SplitData
from eimf_core.training.batches import latest
from eimf_core.training.config import TrainConfig
from eimf_core.training.label_propagation import Heirs
from eimf_core.training.labels import Labels

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledBatch:
    """Labelled users of a step, and their heirs: `histories` int64 (B, L), `targets` int64 (B,), one item
    of each history, its first only where there is no other, `texts` int64 (B, M), rows of the label vectors or -1,
    `clusters` int64 (B,), `weights` float32 (B,), of sum 1 for the labelled ones. `shown` int64 (2, P):
    texts, each with an item that shows it."""

    histories: Ints
    targets: Ints
    texts: Ints
    clusters: Ints
    weights: npt.NDArray[np.float32]
    shown: Ints

    @property
    def items(self) -> list[Ints]:
        """All that refers to items: histories, targets, shown items."""
        return [self.histories, self.targets, self.shown[1]]


def draw(
    labels: Labels | None, train: SplitData, settings: TrainConfig, rng: np.random.Generator, heirs: Heirs | None = None
) -> LabelledBatch | None:
    """Labelled users for a step, none twice, each with one target drawn from its history, and as many
    heirs; None where no part of the loss asks for them."""
    if labels is None or not settings.uses_labels:
        return None
    # a user alone has nobody to be told from
    wanted = max(2, round(settings.labelled_share * settings.batch_size))
    chosen = rng.choice(len(labels), size=min(len(labels), wanted), replace=False)
    users, owners, weights = labels.users[chosen], chosen, np.full(len(chosen), 1.0 / len(chosen))
    if heirs is not None and len(heirs):
        drawn = rng.choice(len(heirs), size=min(len(heirs), wanted), replace=False)
        users, owners = np.concatenate([users, heirs.users[drawn]]), np.concatenate([owners, heirs.of[drawn]])
        weights = np.concatenate([weights, np.full(len(drawn), settings.inherited_weight / len(drawn))])
    ends, lengths = train.offsets[users + 1], np.diff(train.offsets)[users]
    target = ends - 1 - (rng.random(len(users)) * np.maximum(lengths - 1, 1)).astype(np.int64)
    pairs = labels.shown[:, :0]
    if settings.label_weights.items and labels.shown.size:
        pairs = labels.shown[:, rng.integers(labels.shown.shape[1], size=_pairs(settings))]
    return LabelledBatch(
        histories=latest(train, users, settings.max_length),
        targets=train.items[target].astype(np.int64),
        texts=labels.padded(owners),
        clusters=labels.clusters[owners],
        weights=weights.astype(np.float32),
        shown=pairs,
    )


def _pairs(settings: TrainConfig) -> int:
    return max(2, round(settings.item_share * settings.batch_size))
