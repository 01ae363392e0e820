"""What labels add to the loss: the explicit half, its parts weighted.

    a L_SP + b L_MA + s L_SI

after Qiao et al., arXiv 2411.09410 (this project's reading): semantic prediction and modality alignment,
and, not in the paper, items and the words of the interests they show; see `losses/` for each part.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.dataset import Dataset
from eimf_core.progress import Reporter
from eimf_core.training.config import TrainConfig
from eimf_core.training.label_batches import LabelledBatch, draw
from eimf_core.training.labels import Labels
from eimf_core.training.learner import Learner
from eimf_core.training.losses.item_word_alignment import item_word_alignment
from eimf_core.training.losses.modality_alignment import modality_alignment
from eimf_core.training.losses.semantic_prediction import semantic_queries
from eimf_core.training.next_item_loss import Prediction
from eimf_core.training.side_information import SideInputs


class Explicit:
    """The labels of a run, ready to be drawn from."""

    def __init__(self, settings: TrainConfig, labels: Labels | None, data: Dataset, reporter: Reporter) -> None:
        self.labels, self._settings, self._train = labels, settings, data.splits["train"]
        if labels is None:
            return
        if not settings.uses_labels:
            meant = settings.label_start and settings.item_vectors != "neighbours"
            names = "" if meant else "; what interests are called is left to chance"
            reporter.warn(
                "no step learns from the labels: semantic_weight, alignment_weight and item_weight are all 0" + names
            )
        self.vectors = torch.from_numpy(labels.vectors)
        if settings.alignment_weight and len(labels) < 2:
            reporter.warn("the alignment loss stays 0: the labels are of one user, with no other to contrast with")

    @property
    def in_use(self) -> bool:
        """Whether steps learn from labels."""
        return self.labels is not None and self._settings.uses_labels

    def draw(self, rng: np.random.Generator) -> LabelledBatch | None:
        """The labelled users of a step, if there are any and it is one of those that see them."""
        if self._settings.labelled_steps < 1 and rng.random() >= self._settings.labelled_steps:
            return None
        return draw(self.labels, self._train, self._settings, rng)

    def losses(
        self, learner: Learner, side: SideInputs, labelled: LabelledBatch, prediction: Prediction, vectors: Tensor,
        places: list[Tensor],
    ) -> dict[str, Tensor]:  # fmt: skip
        """The weighted parts by name; none without an adapter.

        vectors (R, d), the step's rows of the item table; places: int64, histories, targets and shown items of
        `labelled` as rows of `vectors`.
        """
        settings, weigh = self._settings, self._settings.label_weights
        if learner.adapter is None:
            return {}
        device = vectors.device
        histories, targets, shown = places
        texts = torch.from_numpy(labelled.texts).to(device)
        exists = texts >= 0
        semantic = learner.adapter(self.vectors.to(device)[texts.clamp(min=0)])
        losses = {}
        if weigh.semantic:
            queries = semantic_queries(semantic, exists, prediction.scored[targets])
            losses["semantic"] = weigh.semantic * prediction.loss(queries, labelled.targets, targets)
        if weigh.alignment:
            behavioural, _ = learner.backbone(
                functional.embedding(histories, vectors),
                torch.from_numpy(labelled.histories > 0).to(device),
                side.of_items(labelled.histories),
            )
            losses["alignment"] = weigh.alignment * modality_alignment(
                behavioural, semantic, exists, texts, temperature=settings.alignment_temperature
            )
        if weigh.items and len(shown):
            shown_texts = torch.from_numpy(labelled.shown[0]).to(device)
            words = learner.adapter(self.vectors.to(device)[shown_texts])
            losses["items"] = weigh.items * item_word_alignment(
                vectors[shown], words, shown, shown_texts, temperature=settings.alignment_temperature
            )
        return {name: 1.0 / settings.labelled_steps * value for name, value in losses.items()}
