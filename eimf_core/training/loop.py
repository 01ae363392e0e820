"""The training loop: epochs and their batches, what is measured after each, checkpoints, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eimf_core.dataset import Dataset
from eimf_core.errors import counted
from eimf_core.progress import Reporter
from eimf_core.training import learning_rate, setup
from eimf_core.training.batches import Batches, Epoch
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig
from eimf_core.training.process_group import ALONE, Group
from eimf_core.training.run_state import LaterRuns, RunState
from eimf_core.training.setup import PreparedRun
from eimf_core.training.step import Step
from eimf_core.training.validation import CollapseMonitor, Validation, ValidationFigures

# streams of random numbers, one for each purpose, epoch and step: nothing has to be remembered
ORDER, STEP = 1, 2
GRADIENT_NORMS_EVERY = 100  # steps; measuring costs about a step


@dataclass(frozen=True)
class TrainingSummary:
    """How a run ended. `ndcg` is the best NDCG@10 on the validation split, None without one."""

    epochs: int
    best_epoch: int
    ndcg: float | None
    seconds: float
    users: int
    labelled: int
    left_out: dict[str, int]
    labelled_steps: float


class Loop:
    """One run: batches, steps, validation, and where the run stands."""

    def __init__(
        self, data: Dataset, settings: TrainConfig, prepared: PreparedRun, reporter: Reporter, group: Group = ALONE,
        later: LaterRuns = LaterRuns(),
    ) -> None:  # fmt: skip
        self.group, self.data, self.settings, self.reporter, self._later = group, data, settings, reporter, later
        self.learner, self.labels, self.side = prepared.learner, prepared.labels, prepared.side
        self.step = Step(data, settings, prepared, reporter, group)
        self.batches = Batches(
            data.splits["train"],
            max_length=settings.max_length,
            pairs=settings.batch_size,
            single=not self.learner.backbone.reads_all_prefixes,
            per_window=settings.prefixes_per_window,
        )
        self.validation = self._validation()
        self.collapse = CollapseMonitor(
            data.splits["train"],
            max_length=settings.max_length,
            side=self.side,
            rng=np.random.default_rng(settings.seed),
        )

    @property
    def machine(self) -> dict[str, Any]:
        """Where the run takes place: an interrupted one is resumed only there."""
        return {"device": self.learner.device.type, "processes": self.group.size}

    def start(self, checkpoint: Checkpoint) -> RunState:
        """Where the run stands: at its start, or where it was interrupted."""
        state = RunState(self.settings, self._later, validated=self.validation is not None)
        state.threads = torch.get_num_threads()
        resumed = checkpoint.load()
        if resumed is not None:
            tensors, facts = resumed
            setup.check_same_machine(facts, self.machine, checkpoint.folder)
            self.learner.load_state(tensors)
            state.resume(facts)
            setup.set_threads(state.threads)
            self.reporter.note(f"resuming after epoch {state.epoch}, step {state.step}")
        elif (checkpoint.folder / "state.json").exists():
            self.reporter.warn(
                f"{checkpoint.folder}: holds a run that cannot be resumed (other settings, data or versions, or "
                "damaged); this one starts afresh and replaces it"
            )
        return state

    def run(self, state: RunState, checkpoint: Checkpoint) -> None:
        """Train until the epochs, the time or the patience are at an end."""
        if self.validation is None and not self.settings.refit:
            self.reporter.note(
                f"no user to validate on: nothing says which epoch is best, and the last of "
                f"{counted(self.settings.epochs, 'epoch')} is kept"
            )
        state.start_clock()
        while not self._clocked(state).over:
            self.group.check_same(self.learner.digest() if self.group.size > 1 else 0)
            plan = self.batches.epoch(self.rng(ORDER, state.epoch))
            self._run_epoch(plan, state, checkpoint)
            if state.end_epoch(self._measure(), padding=plan.padding) and self.group.is_main:
                checkpoint.save_best(self.learner.weights(), state.epoch)
            self.reporter.note(state.last_line)
            if not self._clocked(state).over:
                self._save(state, checkpoint)
        if state.out_of_time and not state.stopped:
            self.reporter.note(f"stopped by --max-minutes in epoch {state.epoch} of {self.settings.epochs}")

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator that depends on the seed and the purpose alone."""
        return np.random.default_rng((self.settings.seed, *purpose))

    def summary(self, state: RunState) -> TrainingSummary:
        """How the run ended."""
        return TrainingSummary(
            epochs=state.epoch,
            best_epoch=state.best_epoch,
            ndcg=state.best,
            seconds=state.seconds,
            users=len(self.data.splits["train"]),
            labelled=0 if self.labels is None else len(self.labels),
            left_out={} if self.labels is None else self.labels.left_out,
            labelled_steps=state.labelled_steps,
        )

    def _run_epoch(self, plan: Epoch, state: RunState, checkpoint: Checkpoint) -> None:
        self.reporter.begin(f"epoch {state.epoch + 1}", len(plan), state.step)
        while state.step < len(plan) and not state.out_of_time:
            batch = plan.batch(state.step)
            done = state.share(state.epoch + state.step / len(plan))
            self.learner.set_rate(learning_rate.factor(self.settings.schedule, done))
            rng, measure = self.rng(STEP, state.epoch, state.step), state.gradient_norms_due(GRADIENT_NORMS_EVERY)
            state.count(self.step.take(batch, rng, measure=measure), int((batch.targets > 0).sum()))
            self._clocked(state)
            self.reporter.advance(1, **state.shown(state.epoch + state.step / len(plan)))
            if state.checkpoint_due:
                self._save(state, checkpoint)
        self.reporter.end()

    def _validation(self) -> Validation | None:
        valid = self.data.splits.get("valid")
        if valid is None or not len(valid):
            return None
        made = Validation(
            self.data,
            users=self.settings.valid_users,
            max_length=self.settings.max_length,
            side=self.side,
            rng=np.random.default_rng(self.settings.seed),
        )
        return made if len(made) else None

    def _clocked(self, state: RunState) -> RunState:
        """The first process' clock counts for all, where time decides anything."""
        if self.settings.max_minutes is not None:
            (state.seconds,) = self.group.broadcast(state.seconds)
        return state

    def _save(self, state: RunState, checkpoint: Checkpoint) -> None:
        facts = state.facts()
        if self.group.is_main:
            checkpoint.save(self.learner.state(), {**facts, **self.machine})

    def _measure(self) -> ValidationFigures:
        """The figures of an epoch, taken by the first process."""
        ndcg, collapse = 0.0, 0.0
        if self.group.is_main:
            backbone, vectors = self.learner.backbone, self.learner.table.all()
            if self.validation is None:
                collapse = self.collapse.measure(backbone, vectors)
            else:
                found = self.validation.measure(backbone, vectors)
                ndcg, collapse = found.ndcg or 0.0, found.collapse
        ndcg, collapse = self.group.broadcast(ndcg, collapse)
        return ValidationFigures(None if self.validation is None else ndcg, collapse)
