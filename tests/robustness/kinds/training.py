"""Training: damaged data and labels, and what an interrupted run left to resume from."""

from __future__ import annotations

import contextlib
from pathlib import Path
from unittest import mock

from tests import in_process
from tests.robustness import mutations
from tests.robustness.kinds import lines
from tests.robustness.trial import Kind, Trial

TRAIN = (
    "train", "data", "--backbone", "comirec-sa", "--epochs", "2", "--dimension", "8", "--interests", "2", "--item-vectors", "random",
    "--negatives", "8", "--max-length", "6", "--threads", "1",
)  # fmt: skip


class _Cut(BaseException):
    """Stands for a kill."""


def make(folder: Path) -> None:
    """Data and labels; with the checkpoint of a run that was cut, and the model that it should become."""
    from eimf_core.training import run_state
    from eimf_core.training.checkpoint import Checkpoint

    lines.make(folder)
    done = in_process.eimf([*TRAIN, "-o", "wanted"], stdin=b"", cwd=folder, environment={})
    assert done.returncode == 0, done.stderr
    save, saved = Checkpoint.save, []

    def cut(*arguments: object) -> None:
        saved.append(1)
        if len(saved) > 1:
            raise _Cut
        save(*arguments)  # type: ignore[arg-type]

    patched = mock.patch.object(run_state, "CHECKPOINT_SECONDS", 0.0), mock.patch.object(Checkpoint, "save", cut)
    with patched[0], patched[1], contextlib.suppress(_Cut):
        in_process.eimf([*TRAIN, "-o", "again"], stdin=b"", cwd=folder, environment={})
    assert (folder / ".again.checkpoint" / "state.json").exists()


def _checkpoint(trial: Trial) -> None:
    kept = sorted((trial.folder / ".again.checkpoint").iterdir())
    path = trial.rng.choice(kept)
    mutations.change(path, trial.rng, mutations.of_lines if path.suffix == ".json" else mutations.of_bytes)
    done = trial.eimf(*TRAIN, "-o", "again", outputs=["again"])
    if done.returncode == 0:
        for part in ("weights.safetensors", "interests.onnx", "items.jsonl"):
            same = (trial.folder / "again" / part).read_bytes() == (trial.folder / "wanted" / part).read_bytes()
            trial.expect(same, f"another {part} out of a damaged checkpoint")
        trial.expect(not (trial.folder / ".again.checkpoint").exists(), "the checkpoint was left behind")


def _data(trial: Trial) -> None:
    rng = trial.rng
    more = ["--labels", "labels.jsonl"] if rng.random() < 0.6 else []
    name = (
        "labels.jsonl"
        if more
        else rng.choice(("data/sequences.jsonl", "data/items.jsonl", "data/sequences.jsonl.meta.json"))
    )
    mutations.change(trial.folder / name, rng, mutations.of_lines)
    trial.eimf(*TRAIN, "--epochs", "1", *more, "-o", "new", outputs=["new"])


MODULES = (
    *lines.MODULES,
    "eimf_cli.train",
    "eimf_core.training.train",
    "eimf_core.training.plan",
    "eimf_core.training.export",
    "torch.onnx",
)
KINDS = [
    Kind("checkpoints", 3, make, _checkpoint, modules=MODULES, seconds=60),
    Kind("training", 4, make, _data, modules=MODULES, seconds=60),
]
