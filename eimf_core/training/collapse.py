"""How alike a user's interests are, looked at on training histories where there is no validation split."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.dataset import SplitData
from eimf_core.models.backbone import Backbone
from eimf_core.training.batches import latest
from eimf_core.training.side_information import SideInputs

USERS, AT_ONCE = 1000, 250


class CollapseMonitor:
    """A fixed sample of training users; `rng` draws it."""

    def __init__(self, train: SplitData, *, max_length: int, side: SideInputs, rng: np.random.Generator) -> None:
        users = np.flatnonzero(np.diff(train.offsets))
        if len(users) > USERS:
            users = np.sort(rng.choice(users, size=USERS, replace=False))
        self._users, self._train, self._max_length, self._side = users, train, max_length, side

    @torch.no_grad()
    def measure(self, backbone: Backbone, vectors: Tensor) -> float:
        """The mean cosine between two interests of a user, for item vectors (N + 1, d); 0 when K = 1."""
        was_training = backbone.training
        backbone.eval()
        total = 0.0
        for start in range(0, len(self._users), AT_ONCE):
            inputs = latest(self._train, self._users[start : start + AT_ONCE], self._max_length)
            rows = torch.from_numpy(inputs).to(vectors.device)
            interests, _ = backbone(functional.embedding(rows, vectors), rows > 0, self._side.of_items(inputs))
            total += float(mean_cosine(interests).sum())
        backbone.train(was_training)
        return total / len(self._users)


def mean_cosine(interests: Tensor) -> Tensor:
    """Mean cosine between two different interests of each user: (B, K, d) to (B,); 0 when K = 1."""
    count = interests.shape[1]
    if count == 1:
        return interests.new_zeros(len(interests))
    unit = functional.normalize(interests, dim=-1)
    return (unit.sum(dim=1).square().sum(dim=-1) - count) / (count * (count - 1))
