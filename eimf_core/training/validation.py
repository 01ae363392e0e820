"""The figure that early stopping looks at: NDCG@10 on the validation split, full catalogue, seen dropped.

Who is asked and what counts as a target is decided where `eval` decides it, in `evaluation.cases`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from eimf_core import ranking
from eimf_core.dataset import Dataset
from eimf_core.evaluation import eval_users, metrics
from eimf_core.models.backbone import Backbone
from eimf_core.training.collapse import mean_cosine
from eimf_core.training.side_information import SideInputs

K = 10
USERS_AT_ONCE = 256
MOST_SCORES = 1 << 24  # scores held at a time: 64 MiB


@dataclass(frozen=True)
class Figures:
    """`ndcg`: mean NDCG@10, None without a validation split; `collapse`: mean cosine between two interests of a
    user, 1 when all are one."""

    ndcg: float | None
    collapse: float


class Validation:
    """A fixed sample of the users of the validation split that `eval` would ask."""

    def __init__(
        self, data: Dataset, *, users: int, max_length: int, side: SideInputs,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        """`users`: at most so many, 0 for all."""
        self._cases = eval_users.select(data, "valid", "drop", [])
        asked = np.arange(len(self._cases))
        if 0 < users < len(asked):
            asked = np.sort(rng.choice(len(asked), size=users, replace=False))
        # users with histories of similar length go together: less padding
        self._asked = asked[np.argsort(self._cases.history_lengths()[asked], kind="stable")]
        self._width = len(data.vocab) + 1
        self._max_length, self._side = max_length, side

    def __len__(self) -> int:
        return len(self._asked)

    @torch.no_grad()
    def measure(self, backbone: Backbone, vectors: torch.Tensor) -> Figures:
        """The figures for the interests of `backbone` and the item vectors (N + 1, d)."""
        was_training = backbone.training
        backbone.eval()
        scored = vectors.cpu().numpy()
        # of each item, as in the model directory: a normalised copy of a large table would be as large
        scale = 1.0 / torch.linalg.vector_norm(vectors, dim=1).clamp(min=1e-12).cpu().numpy()
        ndcg, collapse = 0.0, 0.0
        size = max(1, min(USERS_AT_ONCE, MOST_SCORES // self._width))
        for start in range(0, len(self._asked), size):
            users = self._asked[start : start + size]
            histories = [self._cases.history(int(user)) for user in users]
            times, events = self._cases.times(users.tolist()), self._cases.events(users.tolist())
            interests = _interests(backbone, vectors, histories, times, events, self._max_length, self._side)
            scores = ranking.best_scores(interests.cpu().numpy(), scored)
            scores = scores * scale
            ranking.drop(scores, histories)
            ndcg += float(self._ndcg(ranking.top_k(scores, K), users).sum())
            collapse += float(mean_cosine(interests).sum())
        backbone.train(was_training)
        return Figures(ndcg / len(self), collapse / len(self))

    def _ndcg(self, lists: npt.NDArray[np.int64], users: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        numbers = self._cases.target_numbers()[users]
        rows = np.repeat(np.arange(len(users)), numbers)
        targets = np.concatenate([self._targets(int(user)) for user in users])
        return metrics.ndcg(metrics.find_hits(lists, rows, targets, self._width), numbers, K)

    def _targets(self, user: int) -> npt.NDArray[np.int32]:
        return self._cases.targets[self._cases.target_offsets[user] : self._cases.target_offsets[user + 1]]


def _interests(
    backbone: Backbone, vectors: torch.Tensor, histories: list[npt.NDArray[np.int32]],
    times: list[npt.NDArray[np.float64]] | None, events: list[npt.NDArray[np.int32]] | None, max_length: int,
    side: SideInputs,
) -> torch.Tensor:  # fmt: skip
    kept = [history[-max_length:] for history in histories]
    padded = np.zeros((len(kept), max(len(history) for history in kept)), dtype=np.int64)
    for row, history in enumerate(kept):
        padded[row, : len(history)] = history
    inputs = torch.from_numpy(padded).to(vectors.device)
    latest = None if times is None else [when[-max_length:] for when in times]
    kinds = None if events is None else [known[-max_length:] for known in events]
    beside = side.of_histories(padded, latest, kinds)
    interests, _ = backbone(functional.embedding(inputs, vectors), inputs > 0, beside)
    made: torch.Tensor = interests
    return made
