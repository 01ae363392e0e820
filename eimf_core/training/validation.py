"""The figure that early stopping looks at: NDCG@10 on the validation split, full catalogue, seen dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from eimf_core import ranking
from eimf_core.dataset import SplitData
from eimf_core.models.network import Backbone

K = 10
USERS_AT_ONCE = 256


@dataclass(frozen=True)
class Figures:
    """`ndcg`: mean NDCG@10; `collapse`: mean cosine between two interests of a user, 1 when all are one."""

    ndcg: float
    collapse: float


class Validation:
    """A fixed sample of the users of a validation split that have a history and targets."""

    def __init__(self, split: SplitData, *, users: int, max_length: int, cosine: bool, rng: np.random.Generator):
        """`users`: at most so many, 0 for all."""
        usable = np.flatnonzero((np.diff(split.offsets) > 0) & (np.diff(split.target_offsets) > 0))
        if 0 < users < len(usable):
            usable = np.sort(rng.choice(usable, size=users, replace=False))
        # users with histories of similar length go together: less padding
        self._users = usable[np.argsort(np.diff(split.offsets)[usable], kind="stable")]
        self._split, self._max_length, self._cosine = split, max_length, cosine

    def __len__(self) -> int:
        return len(self._users)

    @torch.no_grad()
    def measure(self, backbone: Backbone, vectors: torch.Tensor) -> Figures:
        """The figures for the interests of `backbone` and the item vectors (N + 1, d)."""
        was_training = backbone.training
        backbone.eval()
        scored = functional.normalize(vectors, dim=1) if self._cosine else vectors
        ndcg, collapse = 0.0, 0.0
        for start in range(0, len(self._users), USERS_AT_ONCE):
            users = self._users[start : start + USERS_AT_ONCE]
            histories = [self._split.history(user) for user in users]
            interests = _interests(backbone, vectors, histories, self._max_length)
            scores = ranking.best_scores(interests.numpy(), scored.numpy())
            ranking.drop(scores, histories)
            ranked = ranking.top_k(scores, K)
            ndcg += sum(_ndcg(row, self._split.target(user)) for row, user in zip(ranked, users, strict=True))
            collapse += float(mean_cosine(interests).sum())
        backbone.train(was_training)
        return Figures(ndcg / len(self), collapse / len(self))


def mean_cosine(interests: torch.Tensor) -> torch.Tensor:
    """Mean cosine between two different interests of each user: (B, K, d) to (B,); 0 when K = 1."""
    count = interests.shape[1]
    if count == 1:
        return interests.new_zeros(len(interests))
    unit = functional.normalize(interests, dim=-1)
    return (unit.sum(dim=1).square().sum(dim=-1) - count) / (count * (count - 1))


def _interests(
    backbone: Backbone, vectors: torch.Tensor, histories: list[npt.NDArray[np.int32]], max_length: int
) -> torch.Tensor:
    kept = [history[-max_length:] for history in histories]
    padded = np.zeros((len(kept), max(len(history) for history in kept)), dtype=np.int64)
    for row, history in enumerate(kept):
        padded[row, : len(history)] = history
    inputs = torch.from_numpy(padded)
    interests, _ = backbone(functional.embedding(inputs, vectors), inputs > 0)
    made: torch.Tensor = interests
    return made


def _ndcg(ranked: npt.NDArray[np.int64], targets: npt.NDArray[np.int32]) -> float:
    """NDCG@10 with a gain of 1 for each distinct target, over the ideal of min(10, targets)."""
    wanted = np.unique(targets)
    gains = np.isin(ranked, wanted)
    discounts = 1.0 / np.log2(np.arange(2, K + 2))
    return float((gains * discounts[: len(gains)]).sum() / discounts[: min(K, len(wanted))].sum())
