"""Text vectors kept from an earlier run: a damaged file is made again, so that the result is that of a fresh run."""

from __future__ import annotations

from pathlib import Path

from tests import in_process
from tests.robustness import mutations
from tests.robustness.kinds import lines
from tests.robustness.trial import Kind, Trial
from tests.small_data import write_small_data

CLUSTER = ("cluster", "data", "--budget", "6", "--clusters", "3")


def make(folder: Path) -> None:
    """A prepared directory, its text vectors, and what they lead to."""
    (folder / "data").mkdir()
    write_small_data(folder / "data", users=20)
    done = in_process.eimf([*CLUSTER, "-o", "wanted.jsonl"], stdin=b"", cwd=folder, environment={})
    assert done.returncode == 0, done.stderr


def trial(trial: Trial) -> None:
    rng = trial.rng
    (kept,) = sorted((trial.folder / "data" / ".cache").glob("*.npy"))
    if rng.random() < 0.2:
        kept.rename(kept.with_suffix(".partial"))
        kept = kept.with_suffix(".partial")
    mutations.change(kept, rng, mutations.of_bytes)
    done = trial.eimf(*CLUSTER, "-o", "out.jsonl", outputs=["out.jsonl"])
    if done.returncode == 0 and kept.suffix == ".npy":
        same = (trial.folder / "out.jsonl").read_bytes() == (trial.folder / "wanted.jsonl").read_bytes()
        trial.expect(same, "another result out of damaged text vectors")


KIND = Kind("text-caches", 15, make, trial, modules=lines.MODULES)
