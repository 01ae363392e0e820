"""A training run small enough for a test: the small data set, a narrow network, a few dozen steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.progress import SILENT
from eimf_core.training import run_state, setup
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig
from eimf_core.training.learner import Learner
from eimf_core.training.loop import Loop
from eimf_core.training.run_state import RunState
from tests.small_data import write_small_data

SMALL: dict[str, Any] = {
    "backbone": "comirec-sa",
    "epochs": 2,
    "dimension": 8,
    "interests": 3,
    "max_length": 6,
    "negatives": 8,
    "batch_size": 32,
    "item_vectors": "random",
    "loss": "sampled",
    "learning_rate": 0.01,
    "patience": 0,
    "threads": 1,
    # every step sees labels, and many of them
    "semantic_weight": 0.3,
    "alignment_weight": 0.1,
    "item_alignment_weight": 0.0,
    "item_alignment_share": 0.25,
    "labelled_share": 0.1,
    "labelled_steps": 1.0,
    "propagation_min_item_cosine": 0.0,
    "label_init": False,
}


def small_settings(**changes: Any) -> TrainConfig:
    """The settings of a small run but for `changes`."""
    return TrainConfig(**{**SMALL, **changes})


@dataclass
class Run:
    """A loop with its data and learner; `go` trains to the end."""

    data: Dataset
    learner: Learner
    loop: Loop
    state: RunState
    checkpoint: Checkpoint

    def go(self) -> dict[str, torch.Tensor]:
        """Train; the weights at the end."""
        self.loop.run(self.state, self.checkpoint)
        return {name: value.clone() for name, value in self.learner.weights().items()}


def small_run(folder: Path, labels: Path | None = None, init: Path | None = None, **changes: Any) -> Run:
    """A run on the small data set in `folder`, written there if it is not yet."""
    if not (folder / "items.jsonl").exists():
        folder.mkdir(exist_ok=True)
        write_small_data(folder)
    settings = small_settings(**changes)
    setup.set_threads(settings.threads)
    data = dataset.load(folder, ("train", "valid"))
    prepared = setup.prepare(data, settings, labels, SILENT, init=init)
    return Run(
        data=data,
        learner=prepared.learner,
        loop=Loop(data, settings, prepared, SILENT),
        state=RunState(settings),
        checkpoint=Checkpoint(folder / "model", "test"),
    )


class CutError(Exception):
    """Stands for a run that is killed."""


def cut_after(patched: pytest.MonkeyPatch, saves: int) -> None:
    """Cut the runs to come when they save a checkpoint after so many."""
    save, left = Checkpoint.save, saves

    def cut(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise CutError
        save(*arguments)

    patched.setattr(run_state, "CHECKPOINT_SECONDS", 0.0)
    patched.setattr(Checkpoint, "save", cut)


def go_in_parts(
    monkeypatch: pytest.MonkeyPatch, folder: Path, labels: Path | None = None, **changes: Any
) -> dict[str, torch.Tensor]:
    """The weights of a run of two epochs that is cut again and again and goes on from its checkpoint each time."""
    cuts = 0
    for saves in (0, 1, 5, 3, 8, 10_000):
        run = small_run(folder, labels, **changes)
        resumed = run.checkpoint.load()
        if resumed is not None:
            run.learner.load_state(resumed[0])
            run.state.resume(resumed[1])
        with monkeypatch.context() as patched:
            cut_after(patched, saves)
            try:
                found = run.go()
            except CutError:
                cuts += 1
    assert cuts > 2 and len(run.state.lines) == 2
    return found
