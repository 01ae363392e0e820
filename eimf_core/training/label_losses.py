"""What labels add to the loss: the explicit half, its parts weighted.

    f(t) (a L_SP + b L_MA + s L_SI)

after Qiao et al., arXiv 2411.09410 (this project's reading): semantic prediction and modality alignment,
the latter on vectors, item distributions or prototypes, and, not in the paper, items and the words of
the interests they show. f(t) is the schedule; see `losses/` for each part.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.dataset import Dataset
from eimf_core.progress import Reporter
from eimf_core.training import label_propagation, schedule
from eimf_core.training.config import TrainConfig
from eimf_core.training.label_batches import LabelledBatch, draw
from eimf_core.training.labels import Labels
from eimf_core.training.learner import Learner, unit
from eimf_core.training.losses.distribution_alignment import distribution_alignment
from eimf_core.training.losses.item_word_alignment import words_and_items
from eimf_core.training.losses.modality_alignment import modality_alignment
from eimf_core.training.losses.prototype_alignment import prototype_alignment
from eimf_core.training.losses.semantic_prediction import semantic_queries
from eimf_core.training.next_item_loss import Prediction
from eimf_core.training.side_information import SideInputs


class Explicit:
    """The labels of a run, ready to be drawn from. `heirs`: users with inherited interests, or None."""

    def __init__(self, settings: TrainConfig, labels: Labels | None, data: Dataset, reporter: Reporter) -> None:
        self.labels, self._settings, self._train = labels, settings, data.splits["train"]
        self.heirs = None
        if labels is None:
            return
        if not settings.uses_labels:
            meant = settings.label_start and settings.item_vectors != "neighbours"
            names = "" if meant else "; what interests are called is left to chance"
            reporter.warn(
                "no step learns from the labels: the weights of semantic prediction, alignment and items are all 0"
                + names
            )
        self.vectors = torch.from_numpy(labels.vectors)
        self.clusters, self.centres = labels.prototypes()
        if settings.alignment_weight:
            kind, told_apart = ("cluster", self.clusters) if settings.alignment == "prototypes" else ("user", labels)
            if len(told_apart) < 2 and settings.alignment != "distributions":
                reporter.warn(f"alignment teaches nothing: the labels are of one {kind}, with none to tell it from")
        if settings.inherited_weight and settings.uses_labels:
            from eimf_core.text.cache import encode_items
            from eimf_core.text.loading import open_encoder

            text = encode_items(data.directory, data.items, open_encoder(settings.encoder), reporter)
            self.heirs = label_propagation.find(labels, self._train, text, settings.inherited_cosine)
            reporter.note(f"{len(self.heirs):,} users inherit the interests of {len(labels):,} labelled ones")

    @property
    def in_use(self) -> bool:
        """Whether steps learn from labels."""
        return self.labels is not None and self._settings.uses_labels

    def draw(self, rng: np.random.Generator) -> LabelledBatch | None:
        """The labelled users of a step, if there are any and it is one of those that see them."""
        if self._settings.labelled_steps < 1 and rng.random() >= self._settings.labelled_steps:
            return None
        return draw(self.labels, self._train, self._settings, rng, self.heirs)

    def losses(
        self, learner: Learner, side: SideInputs, labelled: LabelledBatch, prediction: Prediction, vectors: Tensor,
        places: list[Tensor], epochs: float,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The weighted parts by name; none without an adapter.

        vectors (R, d), the step's rows of the item table; places: int64, `labelled.items` as rows of
        `vectors`; epochs: how many are done, for the schedule.
        """
        settings, weigh = self._settings, self._settings.label_weights
        factor = schedule.factor(epochs, warm_up=settings.label_warm_up, half_life=settings.label_half_life)
        if learner.adapter is None or not factor:
            return {}
        device = vectors.device
        histories, targets, shown = places
        texts, weights = (torch.from_numpy(part).to(device) for part in (labelled.texts, labelled.weights))
        exists = texts >= 0
        semantic = learner.adapter(self.vectors.to(device)[texts.clamp(min=0)])
        losses = {}
        if weigh.semantic:
            cosine = settings.similarity == "cosine"
            queries = semantic_queries(semantic, exists, prediction.scored[targets], normalise=cosine)
            losses["semantic"] = weigh.semantic * prediction.loss(queries, labelled.targets, targets, weights)
        if weigh.alignment:
            behavioural, _ = learner.backbone(
                functional.embedding(histories, vectors),
                torch.from_numpy(labelled.histories > 0).to(device),
                side.of_items(labelled.histories),
            )
            aligned = self._aligned(behavioural, semantic, exists, texts, labelled, prediction, learner, weights)
            losses["alignment"] = weigh.alignment * aligned
        if weigh.items and len(shown):
            losses["items"] = weigh.items * self._items(learner, labelled, prediction, vectors, shown)
        return {name: factor / settings.labelled_steps * value for name, value in losses.items()}

    def _aligned(
        self, behavioural: Tensor, semantic: Tensor, exists: Tensor, texts: Tensor, labelled: LabelledBatch,
        prediction: Prediction, learner: Learner, weights: Tensor,
    ) -> Tensor:  # fmt: skip
        temperature = self._settings.alignment_temperature
        if self._settings.alignment == "distributions":
            return distribution_alignment(
                behavioural, semantic, exists, prediction.candidates, temperature=temperature, weights=weights
            )
        if self._settings.alignment == "prototypes":
            assert learner.adapter is not None
            prototypes = learner.adapter(torch.from_numpy(self.centres).to(semantic.device))
            clusters = torch.from_numpy(np.searchsorted(self.clusters, labelled.clusters)).to(semantic.device)
            return prototype_alignment(behavioural, prototypes, clusters, temperature=temperature, weights=weights)
        return modality_alignment(behavioural, semantic, exists, texts, temperature=temperature, weights=weights)

    def _items(
        self, learner: Learner, labelled: LabelledBatch, prediction: Prediction, vectors: Tensor, shown: Tensor
    ) -> Tensor:
        assert learner.adapter is not None
        texts = torch.from_numpy(labelled.shown[0]).to(vectors.device)
        semantic = learner.adapter(self.vectors.to(vectors.device)[texts])
        forth, back = words_and_items(
            vectors[shown], semantic, shown, texts, temperature=self._settings.alignment_temperature
        )
        if self._settings.item_contrast == "catalogue":
            queries = unit(semantic, cosine=self._settings.similarity == "cosine")
            forth = prediction.loss(queries, labelled.shown[1], shown)
        return 0.5 * (forth + back)
