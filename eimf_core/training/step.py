"""One step of training: what it draws, the rows of the item table that it touches, its losses, and the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.dataset import Dataset
from eimf_core.models.backbone import TrainingStep
from eimf_core.numeric.arrays import Ints
from eimf_core.progress import Reporter
from eimf_core.training import gradient_norms
from eimf_core.training.batches import Batch
from eimf_core.training.config import TrainConfig
from eimf_core.training.label_batches import LabelledBatch, LabelSampler
from eimf_core.training.label_losses import LABEL_LOSSES, label_losses
from eimf_core.training.losses.inputs import ItemGroup, LabelInputs
from eimf_core.training.negatives import Negatives, Uniform
from eimf_core.training.next_item_loss import NEXT_ITEM_LOSSES, NextItemLoss
from eimf_core.training.process_group import ALONE, Group
from eimf_core.training.setup import PreparedRun
from eimf_core.training.side_information import MaskedSideInputs
from eimf_core.training.target_interests import target_interests


@dataclass(frozen=True)
class StepSamples:
    """What a step draws beside its batch: labelled users, negatives (None: the whole catalogue), and whose times and
    kinds of behaviour are masked."""

    labelled: LabelledBatch | None
    negatives: Negatives | None
    masked: MaskedSideInputs


@dataclass(frozen=True)
class StepResult:
    """The losses of a step by name, the norm of its whole gradient before clipping, and, where they were measured,
    the gradient norms of the losses with respect to the item vectors."""

    losses: dict[str, Tensor]
    norm: float
    gradient_norms: dict[str, float] | None = None


class Step:
    """The steps of a run: `take` learns from a batch."""

    def __init__(
        self, data: Dataset, settings: TrainConfig, prepared: PreparedRun, reporter: Reporter, group: Group = ALONE
    ) -> None:
        self.group, self._settings = group, settings
        self.learner, self.side, self._labels = prepared.learner, prepared.side, prepared.labels
        self._catalogue = np.arange(1, len(data.items) + 1)
        self._ranking = NEXT_ITEM_LOSSES[settings.ranking_loss(len(data.items))]
        self.negatives = Uniform(len(data.items), settings.negatives) if self._ranking.samples_negatives else None
        self.labelled = LabelSampler(settings, prepared.labels, data.splits["train"], reporter)
        self._label_vectors = None if prepared.labels is None else torch.from_numpy(prepared.labels.vectors)

    def take(self, batch: Batch, rng: np.random.Generator, *, measure: bool = False) -> StepResult:
        """Learn from a batch.

        Args:
            batch: of all processes; each computes its share of the losses.
            rng: all that the step draws comes from it.
            measure: also measure the gradient norm of each loss; a step that sees no label, of a run that learns
                from labels, is left out, since it cannot compare them.

        Returns:
            The losses, and how large the gradient was.
        """
        # each process drops out other values
        self.learner.generator.manual_seed((int(rng.integers(1 << 62)) + self.group.rank) % (1 << 62))
        samples = self.draw(batch, rng)
        rows, leaf, losses = self.losses(batch, samples)
        norms = None
        joint = samples.labelled is not None or not self.labelled.in_use
        if measure and joint and len(losses) > 1:
            # label losses count the more in the steps that see labels: over all steps, as their weights say
            seen = dict.fromkeys(LABEL_LOSSES, self._settings.labelled_steps)
            measured = gradient_norms.norms(losses, leaf)
            norms = {name: seen.get(name, 1.0) * norm for name, norm in measured.items()}
        norm = self.learner.apply(sum(losses.values(), start=leaf.new_zeros(())), rows, leaf, self.group)
        losses = {name: value.detach() for name, value in losses.items()}
        self.group.all_reduce(list(losses.values()))
        return StepResult(losses, norm, norms)

    def draw(self, batch: Batch, rng: np.random.Generator) -> StepSamples:
        """What the step draws, the same in all processes."""
        return StepSamples(
            labelled=self.labelled.draw(rng),
            negatives=None if self.negatives is None else self.negatives.draw(rng),
            masked=self.side.mask(len(batch.inputs), rng),
        )

    def losses(self, batch: Batch, samples: StepSamples) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The weighted losses of a step, whose sum is minimised. A new one is a file in `losses/` and a line here, or
        in `LABEL_LOSSES` where labels are needed.

        Args:
            batch: the pairs of a history and a target.
            samples: of `draw`.

        Returns:
            The rows int64 (R,) of the item table that the step touches, their leaf (R, d), and the losses by name.
        """
        rows, groups = gather(self._groups(batch, samples), self.learner.device)
        leaf, vectors = self.learner.table.rows(rows)
        unit = functional.normalize(vectors, dim=-1)
        candidates = unit.index_select(0, groups["negatives"].rows)
        next_item = NextItemLoss(
            self._ranking.function, unit, candidates, samples.negatives, self._settings.temperature
        )
        losses = self._prediction(batch, samples.masked, groups, vectors, next_item)
        shared: dict[str, Tensor] = {}
        if samples.labelled is not None and self.learner.adapter is not None:
            shared |= label_losses(self._settings, self._label_inputs(samples.labelled, groups, vectors, next_item))
        # few users, and contrasted with each other: every process looks at all of them
        return rows, leaf, losses | {name: value / self.group.size for name, value in shared.items()}

    def _groups(self, batch: Batch, samples: StepSamples) -> dict[str, Ints]:
        """All items of a step by the part that they play."""
        groups = {
            "histories": batch.inputs,
            "targets": batch.targets[batch.targets > 0],
            "negatives": self._catalogue if samples.negatives is None else samples.negatives.items,
        }
        if samples.labelled is not None:
            groups |= {
                "labelled histories": samples.labelled.histories,
                "labelled targets": samples.labelled.targets,
                "labelled items": samples.labelled.text_items[1],
            }
        return groups

    def _prediction(
        self,
        batch: Batch,
        masked: MaskedSideInputs,
        groups: Mapping[str, ItemGroup],
        vectors: Tensor,
        next_item: NextItemLoss,
    ) -> dict[str, Tensor]:
        """Next-item prediction and what the backbone adds, of this process's share of the batch."""
        histories, targets, share = groups["histories"], groups["targets"], 1.0
        if self.group.size > 1:
            # the rows and negatives of the whole batch, the losses of a share of it
            mine = self.group.rows(len(batch.inputs))
            batch, held, share = self.group.split(batch)
            masked, histories, targets = masked[mine], histories[mine], targets[held]
        embedded = functional.embedding(histories.rows, vectors)
        mask = torch.from_numpy(batch.inputs > 0).to(vectors.device)
        backbone = self.learner.backbone.train()
        side = self.side.of_batch(batch.inputs, batch.positions, masked)
        found = target_interests(backbone, batch, embedded, mask, side, next_item.unit, targets.rows)
        weights = backbone.pair_weights(found.interests)
        losses = {"prediction": next_item(found.queries, targets, weights, backbone.negative_hardness)}
        predicted = torch.from_numpy(batch.targets > 0).to(vectors.device)
        losses |= backbone.auxiliary_losses(TrainingStep(embedded, mask, predicted, found.interests, found.logits))
        return {name: share * value for name, value in losses.items()} if self.group.size > 1 else losses

    def _label_inputs(
        self, labelled: LabelledBatch, groups: Mapping[str, ItemGroup], vectors: Tensor, next_item: NextItemLoss
    ) -> LabelInputs:
        adapter, known, device = self.learner.adapter, self._label_vectors, vectors.device
        assert adapter is not None and known is not None

        def embed(texts: Tensor) -> Tensor:
            words: Tensor = adapter(known.to(device)[texts])
            return words

        def behavioural() -> Tensor:
            histories = groups["labelled histories"]
            mask = torch.from_numpy(histories.items > 0).to(device)
            embedded = functional.embedding(histories.rows, vectors)
            interests: Tensor = self.learner.backbone(embedded, mask, self.side.of_items(histories.items))[0]
            return interests

        texts = torch.from_numpy(labelled.texts).to(device)
        return LabelInputs(
            vectors=vectors,
            unit=next_item.unit,
            targets=groups["labelled targets"],
            texts=texts,
            words=embed(texts.clamp(min=0)),
            word_items=groups["labelled items"],
            word_texts=torch.from_numpy(labelled.text_items[0]).to(device),
            embed=embed,
            behavioural=behavioural,
            next_item=next_item,
            temperature=self._settings.alignment_temperature,
        )


def gather(groups: Mapping[str, Ints], device: torch.device) -> tuple[Tensor, dict[str, ItemGroup]]:
    """The distinct items of all groups, int64 (R,) and rising, and each group with its rows among these."""
    arrays = list(groups.values())
    distinct, inverse = np.unique(np.concatenate([items.ravel() for items in arrays]), return_inverse=True)
    parts = np.split(inverse, np.cumsum([items.size for items in arrays])[:-1])
    found = {
        name: ItemGroup(items, torch.from_numpy(part.reshape(items.shape)).to(device))
        for (name, items), part in zip(groups.items(), parts, strict=True)
    }
    return torch.from_numpy(distinct).to(device), found
