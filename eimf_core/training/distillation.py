"""Users with short histories learn from similar users: who is similar, and who is drawn for a step.

Similar are users whose training histories have the nearest mean text vectors; those who are learned from
have longer histories than those who learn. After Liu et al., NeurIPS 2024, arXiv 2405.20646 (LLM-ESR;
there anybody similar is learned from). Found once before training, in blocks, from the cached text
vectors; what a step costs depends neither on how many users there are nor on the catalogue.
A step draws DRAWN of the similar users of each: the gradient of a squared distance is the same for them
as for the mean of all, in expectation, at a part of its cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.clustering.user_vectors import UserVectors
from eimf_core.dataset import Dataset, SplitData
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.progress import Reporter
from eimf_core.training.batches import latest
from eimf_core.training.config import TrainConfig
from eimf_core.training.learner import Learner
from eimf_core.training.losses.self_distillation import self_distillation
from eimf_core.training.side_information import SideInputs

MAX_TEACHERS = 16_384  # a sample of those with long histories: finding takes so many products a user
DRAWN = 2  # teachers of a student in a step
BLOCK = 256  # users compared with the teachers at a time, so that cosines and their order take 64 MiB


@dataclass(frozen=True)
class Teachers:
    """Who learns from whom: `students` int64 (S,), training users, rising, and `similar` int64 (S, n), the training
    users who teach each of them, the most similar first."""

    students: Ints
    similar: Ints

    def __len__(self) -> int:
        return len(self.students)


@dataclass(frozen=True)
class DistillationBatch:
    """The users of a step by their histories of item indices, 0 where padded at the end: `students` int64 (B, L), and
    `teachers` int64 (B, n, L'), those that each learns from, DRAWN or fewer."""

    students: Ints
    teachers: Ints


class Distillation:
    """The similar users of a run, ready to be drawn from."""

    def __init__(self, settings: TrainConfig, data: Dataset, reporter: Reporter) -> None:
        from eimf_core.text.cache import encode_items
        from eimf_core.text.loading import open_encoder

        self._settings, self._train = settings, data.splits["train"]
        text = encode_items(data.directory, data.items, open_encoder(settings.encoder, len(data.items)), reporter)
        self.teachers = find_teachers(
            self._train, text, longest=settings.distillation_length, count=settings.distillation_users,
            rng=np.random.default_rng(settings.seed),
        )  # fmt: skip
        if len(self.teachers):
            reporter.note(
                f"{len(self.teachers):,} users with at most {settings.distillation_length} items learn from "
                f"{self.teachers.similar.shape[1]} similar ones each"
            )
        else:
            reporter.warn(
                f"self-distillation has no effect: with distillation_length {settings.distillation_length} no user has "
                "similar users with longer histories"
            )

    def draw(self, rng: np.random.Generator) -> DistillationBatch | None:
        """Users for a step, none twice, with some of those they learn from; None where nobody learns so."""
        if not len(self.teachers):
            return None
        settings = self._settings
        wanted = max(1, round(settings.distillation_share * settings.batch_size))
        chosen = rng.choice(len(self.teachers), size=min(len(self.teachers), wanted), replace=False)
        drawn = rng.random((len(chosen), self.teachers.similar.shape[1])).argsort(axis=1)[:, :DRAWN]
        teachers = np.take_along_axis(self.teachers.similar[chosen], drawn, axis=1)
        histories = latest(self._train, teachers.ravel(), settings.max_length)
        return DistillationBatch(
            students=latest(self._train, self.teachers.students[chosen], settings.max_length),
            teachers=histories.reshape(*teachers.shape, -1),
        )

    def loss(
        self, learner: Learner, side: SideInputs, batch: DistillationBatch, vectors: Tensor, rows: Tensor
    ) -> Tensor:
        """The weighted loss of a step.

        Args:
            learner: gives interests, those of teachers without a gradient.
            side: side inputs of histories.
            batch: of `draw`.
            vectors: the step's rows of the item table, (R, d).
            rows: `batch.students` as rows of these, (B, L).

        Returns:
            A scalar.
        """
        backbone, device = learner.backbone, vectors.device
        mask = torch.from_numpy(batch.students > 0).to(device)
        interests, _ = backbone(functional.embedding(rows, vectors), mask, side.of_items(batch.students))
        count, width = batch.teachers.shape[1:]
        flat = batch.teachers.reshape(-1, width)
        known, at = np.unique(flat, return_inverse=True)
        backbone.eval()
        with torch.no_grad():
            _, items = learner.table.rows(torch.from_numpy(known).to(device))
            taught, _ = backbone(
                functional.embedding(torch.from_numpy(at.reshape(flat.shape)).to(device), items),
                torch.from_numpy(flat > 0).to(device),
                side.of_items(flat),
            )
        backbone.train()
        loss = self_distillation(interests, taught.unflatten(0, (-1, count)))
        return self._settings.distillation_weight * loss


def find_teachers(
    train: SplitData, text: npt.NDArray[Any], *, longest: int, count: int, rng: np.random.Generator
) -> Teachers:
    """For each user with 1 to `longest` training items the `count` most similar ones with more.

    text (N + 1, D), zero where an item has none; users without text are nobody's. Cosines of mean text
    vectors, less the mean over all interactions. Nobody where there are no two such groups.
    """
    lengths = np.diff(train.offsets)
    teachers = np.flatnonzero(lengths > longest)
    if len(teachers) > MAX_TEACHERS:
        teachers = np.sort(rng.choice(teachers, size=MAX_TEACHERS, replace=False))
    vectors = UserVectors(train, text, _centre(train, text))
    known = vectors.rows(teachers)
    teachers, known = teachers[known.any(axis=1)], known[known.any(axis=1)]
    count = min(count, len(teachers))
    users, found = [np.zeros(0, np.int64)], [np.zeros((0, count), np.int64)]
    short = np.flatnonzero((lengths > 0) & (lengths <= longest)) if count else np.zeros(0, np.int64)
    for start in range(0, len(short), BLOCK):
        rows = vectors.rows(short[start : start + BLOCK])
        there = rows.any(axis=1)
        cosines = rows[there] @ known.T
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, nearest, axis=1), axis=1, kind="stable")
        users.append(short[start : start + BLOCK][there])
        found.append(teachers[np.take_along_axis(nearest, order, axis=1)])
    return Teachers(np.concatenate(users), np.concatenate(found))


def _centre(train: SplitData, text: npt.NDArray[Any]) -> Floats:
    """What all interactions have in common: the mean text vector (D,), items without a text left out."""
    counts = np.bincount(train.items, minlength=len(text))
    total, seen = np.zeros(text.shape[1]), 0
    for start in range(0, len(text), BLOCK):
        part = text[start : start + BLOCK].astype(np.float64)
        weights = counts[start : start + BLOCK] * part.any(axis=1)
        total += weights @ part
        seen += int(weights.sum())
    return (total / max(seen, 1)).astype(np.float32)
