"""`eimf train`: from a prepared directory, and labels if there are any, to a model directory.

`train` sets everything up, `Trainer.epoch` walks over the batches, `Trainer.losses` says what is
minimised; each loss is a file of its own in `losses/`.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core import artifact, dataset, files
from eimf_core.dataset import Dataset
from eimf_core.models.backbone import TrainingStep
from eimf_core.progress import SILENT, Reporter
from eimf_core.training import distributed, export, gradient_norms, learning_rate, negatives, setup
from eimf_core.training.batches import Batch, Batches
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.collapse import Watch
from eimf_core.training.config import TrainConfig
from eimf_core.training.device import CPU, choose
from eimf_core.training.distillation import Distillation
from eimf_core.training.distributed import ALONE, Group
from eimf_core.training.label_batches import LabelledBatch
from eimf_core.training.label_losses import Explicit
from eimf_core.training.next_item_loss import Prediction
from eimf_core.training.run_state import LABEL_LOSSES, Progress
from eimf_core.training.setup import Prepared
from eimf_core.training.target_interests import target_interests
from eimf_core.training.validation import Figures, Validation

# streams of random numbers, one for each purpose, epoch and step: nothing has to be remembered
ORDER, STEP = 1, 2
GRADIENT_NORMS_EVERY = 100  # steps; measuring costs about a step
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Summary:
    """How a run ended. `ndcg` is the best NDCG@10 on the validation split, None without one."""

    epochs: int
    best_epoch: int
    ndcg: float | None
    seconds: float
    users: int
    labelled: int
    left_out: dict[str, int]
    labelled_steps: float


def train(
    directory: str | Path,
    output: str | Path,
    settings: TrainConfig,
    *,
    labels: str | Path | None = None,
    epochs_from: str | Path | None = None,
    init: str | Path | None = None,
    reporter: Reporter = SILENT,
) -> Summary:
    """Train a model on the training lines of a prepared directory and write it to `output`.

    Test lines are never read. An interrupted run of the same command goes on where it was; `output`
    is replaced as a whole at the end. `epochs_from`: a model whose best epoch says for how many this one
    trains, for data without a validation split. `init`: a model that this one starts from. Raises ConfigError,
    InputError and ModelError.
    """
    setup.check_output(output)
    if epochs_from is not None:
        settings = replace(settings, epochs=setup.best_epoch(epochs_from))
    chosen = functools.partial(choose, settings.device, reporter, local_rank=distributed.local_rank())
    with distributed.joined(chosen) as group:
        reporter = reporter if group.first else SILENT
        with files.locked(output) if group.first else contextlib.nullcontext():
            # nobody reads a checkpoint that another run still writes
            group.wait()
            data = dataset.load(directory, ("train", "valid"))
            setup.check_data(data)
            setup.set_threads(settings.threads)
            prepared = group.first_before_others(
                lambda: setup.prepare(data, settings, labels, reporter, init=init, device=group.device)
            )
            read = setup.inputs(data, labels, init)
            checkpoint = Checkpoint(output, setup.fingerprint(data, settings, read))
            trainer = Trainer(data, settings, prepared, reporter, group)
            progress = trainer.start(checkpoint)
            trainer.run(progress, checkpoint)
            summary = trainer.summary(progress)
            if group.first:
                _write(output, trainer, prepared, progress, checkpoint, read)
                checkpoint.remove()
    return summary


def _write(
    output: str | Path, trainer: Trainer, prepared: Prepared, progress: Progress, checkpoint: Checkpoint,
    read: list[Path],
) -> None:  # fmt: skip
    """Write the weights of the best epoch as a model directory."""
    data, settings, learner, reporter = trainer.data, trainer.settings, prepared.learner, trainer.reporter
    best = checkpoint.load_best()
    if best is not None:
        learner.load_weights(best)
    learner.move(CPU)
    if progress.collapsed:
        reporter.warn("the interests of a user are nearly all the same; try fewer interests or another seed")
    for part in gradient_norms.larger_than_prediction(progress.written):
        reporter.warn(
            f"the gradient norm of the loss '{part}' is larger than that of the prediction; give it a smaller weight"
        )
    facts: dict[str, Any] = {"summary": asdict(trainer.summary(progress)), **trainer.machine}
    facts |= {} if prepared.start is None else {"init": prepared.start}
    contents = export.contents(
        learner,
        data,
        settings,
        labels=prepared.labels,
        text=prepared.text,
        features=prepared.side.features,
        events=prepared.side.events,
        encoder=prepared.encoder,
        epochs=progress.lines,
        provenance=setup.provenance(data, settings, read, facts),
        training=asdict(settings),
    )
    artifact.write(output, contents)


class Trainer:
    """One run: batches, learner, validation, and where the run stands."""

    def __init__(
        self, data: Dataset, settings: TrainConfig, prepared: Prepared, reporter: Reporter, group: Group = ALONE
    ) -> None:
        self.group = group
        self.data, self.settings, self.reporter = data, settings, reporter
        self.learner, self.labels, self.side = prepared.learner, prepared.labels, prepared.side
        self.batches = Batches(
            data.splits["train"],
            max_length=settings.max_length,
            pairs=settings.batch_size,
            single=not self.learner.backbone.one_pass,
            sampled=settings.prefixes,
        )
        self.full = settings.uses_full_softmax(len(data.items))
        self.sampler = negatives.Uniform(len(data.items), settings.negatives)
        self.explicit = Explicit(settings, self.labels, data, reporter)
        self.distillation = Distillation(settings, data, reporter) if settings.self_distillation else None
        valid = data.splits.get("valid")
        self.validation: Validation | None = None
        if valid is not None and len(valid):
            measured = Validation(
                data,
                users=settings.valid_users,
                max_length=settings.max_length,
                side=self.side,
                rng=np.random.default_rng(settings.seed),
            )
            self.validation = measured if len(measured) else None
        self.watch = Watch(
            data.splits["train"],
            max_length=settings.max_length,
            side=self.side,
            rng=np.random.default_rng(settings.seed),
        )

    @property
    def machine(self) -> dict[str, Any]:
        """Where the run takes place: an interrupted one goes on only there."""
        return {"device": self.learner.device.type, "processes": self.group.size}

    def start(self, checkpoint: Checkpoint) -> Progress:
        """Where the run stands: at its start, or where it was interrupted."""
        progress = Progress(self.settings)
        progress.threads = torch.get_num_threads()
        resumed = checkpoint.load()
        if resumed is not None:
            tensors, facts = resumed
            setup.check_same_machine(facts, self.machine, checkpoint.folder)
            self.learner.load_state(tensors)
            progress.resume(facts)
            progress.threads = setup.set_threads(facts["threads"])
            self.reporter.note(f"going on after epoch {progress.epoch}, step {progress.step}")
        return progress

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator that depends on the seed and the purpose alone."""
        return np.random.default_rng((self.settings.seed, *purpose))

    def run(self, progress: Progress, checkpoint: Checkpoint) -> None:
        """Train until the epochs, the time or the patience are at an end."""
        progress.start_clock()
        while not self._clocked(progress).over:
            self.group.check_same(self.learner.digest() if self.group.size > 1 else 0)
            plan = self.batches.epoch(self.rng(ORDER, progress.epoch))
            self.reporter.begin(f"epoch {progress.epoch + 1}", len(plan))
            self.reporter.advance(progress.step)
            while progress.step < len(plan) and not progress.out_of_time:
                batch = plan.batch(progress.step)
                done = progress.share(progress.epoch + progress.step / len(plan))
                self.learner.set_rate(learning_rate.factor(self.settings.schedule, done))
                measured = progress if progress.gradient_norms_due(GRADIENT_NORMS_EVERY) else None
                losses, norm = self.step(batch, self.rng(STEP, progress.epoch, progress.step), measured)
                progress.count(losses, int((batch.targets > 0).sum()), norm)
                self._clocked(progress)
                self.reporter.advance(1, **progress.shown(progress.epoch + progress.step / len(plan)))
                if progress.checkpoint_due:
                    self._keep(progress, checkpoint)
            self.reporter.end()
            if progress.end_epoch(self._measure(), padding=plan.padding) and self.group.first:
                checkpoint.save_best(self.learner.weights(), progress.epoch)
            self.reporter.note(progress.last_line)
            if not self._clocked(progress).over:
                self._keep(progress, checkpoint)

    def _clocked(self, progress: Progress) -> Progress:
        """The first process' clock counts for all, where time decides anything."""
        if self.settings.max_minutes is not None:
            progress.set_clock(self.group.from_first(progress.seconds)[0])
        return progress

    def _keep(self, progress: Progress, checkpoint: Checkpoint) -> None:
        facts = progress.facts()
        if self.group.first:
            checkpoint.save(self.learner.state(), {**facts, **self.machine})

    def _measure(self) -> Figures:
        """The figures of an epoch, taken by the first process."""
        ndcg, collapse = 0.0, 0.0
        if self.group.first:
            backbone, vectors = self.learner.backbone, self.learner.table.all()
            if self.validation is None:
                collapse = self.watch.measure(backbone, vectors)
            else:
                found = self.validation.measure(backbone, vectors)
                ndcg, collapse = found.ndcg or 0.0, found.collapse
        ndcg, collapse = self.group.from_first(ndcg, collapse)
        return Figures(None if self.validation is None else ndcg, collapse)

    def step(
        self, batch: Batch, rng: np.random.Generator, measured: Progress | None = None
    ) -> tuple[dict[str, Tensor], float]:
        """Learn from a batch; returns the parts of the loss and the gradient's norm before clipping.

        `measured` takes note of the gradient norm of each part of a joint loss.
        """
        # each process drops out other values
        self.learner.generator.manual_seed((int(rng.integers(1 << 62)) + self.group.rank) % (1 << 62))
        labelled = self.explicit.draw(rng)
        rows, leaf, losses = self.losses(batch, labelled, rng)
        # where labels are in use, in a step that sees them
        joint = labelled is not None or not self.explicit.in_use
        if measured is not None and joint and len(losses) > 1:
            # label losses count the more in the steps that see labels: over all steps, as their weights say
            seen = dict.fromkeys(LABEL_LOSSES, self.settings.labelled_steps)
            norms = gradient_norms.norms(losses, leaf)
            measured.add_gradient_norms({name: seen.get(name, 1.0) * norm for name, norm in norms.items()})
        norm = self.learner.apply(sum(losses.values(), start=leaf.new_zeros(())), rows, leaf, self.group)
        losses = {name: value.detach() for name, value in losses.items()}
        self.group.add_up(list(losses.values()))
        return losses, norm

    def summary(self, progress: Progress) -> Summary:
        """How the run ended."""
        return Summary(
            epochs=progress.epoch,
            best_epoch=progress.best_epoch,
            ndcg=progress.best,
            seconds=progress.seconds,
            users=len(self.data.splits["train"]),
            labelled=0 if self.labels is None else len(self.labels),
            left_out={} if self.labels is None else self.labels.left_out,
            labelled_steps=progress.labelled_steps,
        )

    def losses(
        self, batch: Batch, labelled: LabelledBatch | None, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The weighted parts of the loss L = L_IBIM + a L_SP + b L_MA, and the table rows they stand on.

        Returns rows int64 (R,), their leaf (R, d) and the parts by name.
        """
        settings = self.settings
        wanted = batch.targets[batch.targets > 0]
        drawn = negatives.Negatives(np.arange(1, len(self.data.items) + 1), np.zeros(0, dtype=np.float32))
        if not self.full:
            drawn = self.sampler.draw(rng)
        indices = [batch.inputs, wanted, drawn.items]
        if labelled is not None:
            indices += [labelled.histories, labelled.targets, labelled.shown[1]]
        students = None if self.distillation is None else self.distillation.draw(rng)
        if students is not None:
            indices.append(students.histories)
        rows, places = _distinct(indices, self.learner.device)
        hidden, share = self.side.hide(len(batch.inputs), rng), 1.0
        if self.group.size > 1:
            # the rows and negatives of the whole batch, the losses of a share of it
            mine = self.group.rows(len(batch.inputs))
            batch, held, share = self.group.split(batch)
            hidden, places[0], places[1] = hidden[mine], places[0][mine], places[1][held]
            wanted = wanted[held]
        leaf, vectors = self.learner.table.rows(rows)
        scored = functional.normalize(vectors, dim=-1)
        prediction = Prediction(settings, scored, scored.index_select(0, places[2]), drawn, self.full)
        histories = functional.embedding(places[0], vectors)
        mask = torch.from_numpy(batch.inputs > 0).to(vectors.device)
        backbone = self.learner.backbone.train()
        side = self.side.of_batch(batch.inputs, batch.places, hidden)
        found = target_interests(backbone, batch, histories, mask, side, scored, places[1])
        weights = backbone.pair_weights(found.interests)
        losses = {"prediction": prediction.loss(found.queries, wanted, places[1], weights, backbone.negative_hardness)}
        predicted = torch.from_numpy(batch.targets > 0).to(vectors.device)
        losses |= backbone.auxiliary_losses(TrainingStep(histories, mask, predicted, found.interests, found.logits))
        losses = {name: share * value for name, value in losses.items()} if self.group.size > 1 else losses
        if labelled is not None:
            # few, and contrasted with each other: every process looks at all of them
            explicit = self.explicit.losses(self.learner, self.side, labelled, prediction, vectors, places[3:6])
            losses |= {name: value / self.group.size for name, value in explicit.items()}
        if self.distillation is not None and students is not None:
            distilled = self.distillation.loss(self.learner, self.side, students, vectors, places[-1])
            losses["distillation"] = distilled / self.group.size
        return rows, leaf, losses


def _distinct(indices: list[Ints], device: torch.device) -> tuple[Tensor, list[Tensor]]:
    """The distinct values of some index arrays, rising, and for each array the places of its values."""
    rows, inverse = np.unique(np.concatenate([part.ravel() for part in indices]), return_inverse=True)
    borders = np.cumsum([part.size for part in indices])[:-1]
    places = [
        torch.from_numpy(place.reshape(part.shape)).to(device)
        for place, part in zip(np.split(inverse, borders), indices, strict=True)
    ]
    return torch.from_numpy(rows).to(device), places
