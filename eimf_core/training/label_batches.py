"""Labelled users of a step: who is drawn, with which history, target and interests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eimf_core.dataset import SplitData
from eimf_core.numeric.arrays import Ints
from eimf_core.progress import Reporter
from eimf_core.training.batches import latest
from eimf_core.training.config import TrainConfig
from eimf_core.training.labels import Labels


@dataclass(frozen=True)
class LabelledBatch:
    """Labelled users of a step.

    Attributes:
        histories: int64 (B, L), item indices, 0 where padded at the end.
        targets: int64 (B,), one item of each history, its first only where there is no other.
        texts: int64 (B, M), rows of the label vectors or -1.
        text_items: int64 (2, P), texts, each with an item that its label gives for it.
    """

    histories: Ints
    targets: Ints
    texts: Ints
    text_items: Ints


class LabelSampler:
    """Draws labelled users for the steps of a run; nobody without labels."""

    def __init__(self, settings: TrainConfig, labels: Labels | None, train: SplitData, reporter: Reporter) -> None:
        self._settings, self._labels, self._train = settings, labels, train
        self.in_use = labels is not None and settings.uses_labels
        """Whether steps learn from labels."""
        if labels is not None:
            _warn(settings, labels, reporter)

    def draw(self, rng: np.random.Generator) -> LabelledBatch | None:
        """Labelled users, if the step is one of those that see them (`labelled_steps`)."""
        if self._settings.labelled_steps < 1 and rng.random() >= self._settings.labelled_steps:
            return None
        if self._labels is None or not self.in_use:
            return None
        return draw(self._labels, self._train, self._settings, rng)


def draw(labels: Labels, train: SplitData, settings: TrainConfig, rng: np.random.Generator) -> LabelledBatch:
    """Labelled users, none twice, each with one target drawn from its history.

    Args:
        labels: of the run.
        train: the training split.
        settings: say how many users and items.
        rng: draws.

    Returns:
        The users of a step.
    """
    # the words of a user alone have none to be contrasted with
    wanted = max(2, round(settings.labelled_share * settings.batch_size))
    chosen = rng.choice(len(labels), size=min(len(labels), wanted), replace=False)
    users = labels.users[chosen]
    ends, lengths = train.offsets[users + 1], np.diff(train.offsets)[users]
    target = ends - 1 - (rng.random(len(users)) * np.maximum(lengths - 1, 1)).astype(np.int64)
    pairs = labels.text_items[:, :0]
    if settings.label_weights.items and labels.text_items.size:
        count = max(2, round(settings.item_alignment_share * settings.batch_size))
        pairs = labels.text_items[:, rng.integers(labels.text_items.shape[1], size=count)]
    return LabelledBatch(
        histories=latest(train, users, settings.max_length),
        targets=train.items[target].astype(np.int64),
        texts=labels.padded(chosen),
        text_items=pairs,
    )


def _warn(settings: TrainConfig, labels: Labels, reporter: Reporter) -> None:
    if not settings.uses_labels:
        named = settings.label_init and settings.item_vectors != "neighbours"
        names = "" if named else "; what interests are called is left to chance"
        weights = "semantic_weight, alignment_weight and item_alignment_weight are all 0"
        reporter.warn(f"no step learns from the labels: {weights}{names}")
    if settings.alignment_weight and len(labels) < 2:
        reporter.warn("the alignment loss stays 0: the labels are of one user, with no other to contrast with")
