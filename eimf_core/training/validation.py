"""What is measured after each epoch: NDCG@10 on the validation split, and how alike a user's interests are.

Who is asked, what counts as a target, how lists are ranked and measured: all of it is the code of `eimf eval`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.dataset import Dataset, SplitData
from eimf_core.evaluation import eval_users
from eimf_core.evaluation.measure import MeasurePlan, block_size, measure_block
from eimf_core.evaluation.scorers import Events, Scored, Times
from eimf_core.models.backbone import Backbone
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Arrays, ShortInts
from eimf_core.numeric.padding import padded
from eimf_core.numeric.vectors import MIN_LENGTH, mean_pairwise_cosine
from eimf_core.progress import Reporter
from eimf_core.training import next_item_choice
from eimf_core.training.batches import latest
from eimf_core.training.candidates import K
from eimf_core.training.side_information import SideInputs

USERS_AT_ONCE = 256
COLLAPSE_USERS, COLLAPSE_AT_ONCE = 1000, 250


@dataclass(frozen=True)
class ValidationFigures:
    """`ndcg`: mean NDCG@10, None without a validation split; `collapse`: mean cosine between two interests of a
    user, 1 when all are one, 0 with one interest alone."""

    ndcg: float | None
    collapse: float


class BackboneScorer:
    """The model in training, as `eimf eval` sees a written one: the network and item vectors (N + 1, d) of now."""

    name = "the model in training"

    def __init__(self, backbone: Backbone, vectors: Tensor, *, max_length: int, side: SideInputs) -> None:
        self._backbone, self._vectors, self._max_length, self._side = backbone, vectors, max_length, side
        self._table = vectors.cpu().numpy()
        # of each item, as in the model directory: a normalised copy of a large table would be as large
        self._scale = 1.0 / torch.linalg.vector_norm(vectors, dim=1).clamp(min=MIN_LENGTH).cpu().numpy()

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        """Scores of all items after each history (item indices, oldest first)."""
        inputs = padded([history[-self._max_length :] for history in histories])
        when = None if times is None else [known[-self._max_length :] for known in times]
        kinds = None if events is None else [known[-self._max_length :] for known in events]
        interests = _interests(self._backbone, self._vectors, inputs, self._side.of_histories(inputs, when, kinds))
        return Scored(ranking.best_scores(interests, self._table, self._scale), interests, self._table)


def sampled_users(
    data: Dataset, most: int, rng: np.random.Generator, known: Sequence[npt.NDArray[np.bool_]] = ()
) -> tuple[eval_users.EvalUsers, npt.NDArray[np.int64]]:
    """The users of the validation split that `eval` would ask, and the rows of those that are asked here.

    Args:
        data: with a validation split.
        most: how many are asked at most, 0 for all.
        rng: draws them.
        known: as in `eval_users.select`.

    Returns:
        The users, and rows of them, rising.
    """
    users = eval_users.select(data, "valid", "drop", known)
    rows = np.arange(len(users))
    if 0 < most < len(rows):
        rows = np.sort(rng.choice(len(rows), size=most, replace=False))
    return users, rows


class Validation:
    """A fixed sample of the users of the validation split that `eval` would ask."""

    def __init__(
        self, data: Dataset, *, users: int, max_length: int, side: SideInputs, rng: np.random.Generator
    ) -> None:
        """`users`: at most so many, 0 for all; `rng` draws them."""
        self._users, sample = sampled_users(data, users, rng)
        width = len(data.vocab) + 1
        self._plan = MeasurePlan(ks=[K], metrics=["ndcg", "interest_cosine"], seen="drop", priority=np.arange(width))
        self._blocks = self._users.blocks(sample, block_size(width, USERS_AT_ONCE))
        self._size, self._max_length, self._side = len(sample), max_length, side

    def __len__(self) -> int:
        return self._size

    def measure(self, backbone: Backbone, vectors: Tensor) -> ValidationFigures:
        """The figures after an epoch.

        Args:
            backbone: gives the interests.
            vectors: of items, (N + 1, d).

        Returns:
            NDCG@10, and how far interests are alike.

        Raises:
            ModelError: a score is not a finite number.
        """
        totals = np.zeros(2)
        with _evaluating(backbone):
            scorer = BackboneScorer(backbone, vectors, max_length=self._max_length, side=self._side)
            for rows in self._blocks:
                totals += measure_block(scorer, self._users, self._plan, rows).values.sum(axis=0)
        ndcg, cosine = (totals / self._size).tolist()
        return ValidationFigures(ndcg, _or_zero(cosine))

    def choose_next_items(
        self, backbone: Backbone, vectors: Tensor, data: Dataset, texts: Arrays | None, reporter: Reporter
    ) -> next_item_choice.ChosenGraph:
        """The graph of next items that goes best with a model.

        Args:
            backbone: gives the interests.
            vectors: of items, (N + 1, d).
            data: its training histories are counted.
            texts: the graph of items of like texts, if there is one.
            reporter: hears of progress.

        Returns:
            As `next_item_choice.choose`.
        """
        with _evaluating(backbone):
            scorer = BackboneScorer(backbone, vectors, max_length=self._max_length, side=self._side)
            return next_item_choice.choose(scorer, self._users, self._blocks, data, reporter, texts=texts)


class CollapseMonitor:
    """A fixed sample of training users, for data without a validation split; `rng` draws it."""

    def __init__(self, train: SplitData, *, max_length: int, side: SideInputs, rng: np.random.Generator) -> None:
        users = np.flatnonzero(np.diff(train.offsets))
        if len(users) > COLLAPSE_USERS:
            users = np.sort(rng.choice(users, size=COLLAPSE_USERS, replace=False))
        self._users, self._train, self._max_length, self._side = users, train, max_length, side

    def measure(self, backbone: Backbone, vectors: Tensor) -> float:
        """How far the interests of a user are alike.

        Args:
            backbone: gives the interests.
            vectors: of items, (N + 1, d).

        Returns:
            The mean cosine between two interests of a user; 0 when K = 1.
        """
        total = 0.0
        with _evaluating(backbone):
            for start in range(0, len(self._users), COLLAPSE_AT_ONCE):
                inputs = latest(self._train, self._users[start : start + COLLAPSE_AT_ONCE], self._max_length)
                interests = _interests(backbone, vectors, inputs, self._side.of_items(inputs))
                total += float(mean_pairwise_cosine(interests).sum())
        return _or_zero(total / len(self._users))


def _interests(
    backbone: Backbone, vectors: Tensor, inputs: npt.NDArray[np.int64], side: dict[str, Tensor]
) -> npt.NDArray[np.float32]:
    rows = torch.from_numpy(inputs).to(vectors.device)
    interests, _ = backbone(functional.embedding(rows, vectors), rows > 0, side)
    found: npt.NDArray[np.float32] = interests.cpu().numpy()
    return found


@contextlib.contextmanager
def _evaluating(backbone: Backbone) -> Iterator[None]:
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        backbone.train(was_training)


def _or_zero(cosine: float) -> float:
    """A single interest has no other to be like."""
    return cosine if cosine == cosine else 0.0
