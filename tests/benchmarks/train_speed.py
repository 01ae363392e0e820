"""How fast training is: whole steps (batch, negatives, both passes, optimiser) on one thread, in CPU seconds.

    python -m tests.benchmarks.train_speed throughput DIR [--steps 500] [--only comirec-sa]
    python -m tests.benchmarks.train_speed catalogue [--items 10000,100000,1000000,5000000]
    python -m tests.benchmarks.train_speed memory DIR
    python -m tests.benchmarks.train_speed labels DIR --labels labels.jsonl [--epochs 8] [--times 3]

`throughput` counts (history, target) pairs per CPU second after a first epoch, on a prepared
directory, and the padding of its batches. `catalogue` makes up users over ever larger catalogues and
times the same step. `memory` is the peak of a whole run of `eimf train`. `labels` is what whole runs of
`eimf train` with labels cost beside runs without, as many epochs each, one after the other in turn; titles and
words are encoded before, as `cluster` and `label` have done.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from eimf_core import dataset
from eimf_core.dataset import Dataset, SplitData
from eimf_core.progress import SILENT
from eimf_core.records import Item
from eimf_core.training import item_embeddings, setup
from eimf_core.training.batches import Batches
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig
from eimf_core.training.learner import Learner
from eimf_core.training.loop import Loop
from eimf_core.training.setup import PreparedRun
from eimf_core.training.side_information import SideInputs
from eimf_core.vocab import Vocab

THROUGHPUT = [
    ("comirec-sa, one prefix at a time, length 20", {"backbone": "comirec-sa", "max_length": 20}, True),
    ("comirec-sa, all prefixes, length 20", {"backbone": "comirec-sa", "max_length": 20}, False),
    ("comirec-sa, all prefixes, length 50", {"backbone": "comirec-sa", "max_length": 50}, False),
    ("remi, all prefixes, length 50", {"backbone": "remi", "max_length": 50}, False),
    ("gru4rec, all prefixes, length 50", {"backbone": "gru4rec", "max_length": 50}, False),
    ("sasrec, all prefixes, length 50", {"backbone": "sasrec", "max_length": 50}, False),
    ("comirec-dr, sampled prefixes, length 50", {"backbone": "comirec-dr", "max_length": 50}, False),
]
COMMON = {
    "backbone": "comirec-sa",
    "dimension": 64,
    "interests": 4,
    "negatives": 1280,
    "loss": "sampled",
    "item_vectors": "random",
    "threads": 1,
}


def made(data: Dataset, settings: TrainConfig) -> Loop:
    setup.set_threads(1)
    generator = torch.Generator().manual_seed(0)
    table = item_embeddings.make_table(len(data.items), settings.dimension, generator)
    side = SideInputs((), data, SILENT)
    return Loop(data, settings, PreparedRun(Learner(settings, table, None, generator), None, None, None, side), SILENT)


def run_steps(loop: Loop, steps: int, warm: int) -> tuple[float, int, float]:
    """CPU seconds and pairs of `steps` steps after `warm` ones; the padding of the last epoch."""
    done, pairs, started, epoch = 0, 0, 0.0, 0
    while True:
        plan = loop.batches.epoch(np.random.default_rng(epoch))
        for number in range(len(plan)):
            if done == warm:
                started, pairs = time.process_time(), 0
            if done == warm + steps:
                return time.process_time() - started, pairs, plan.padding
            batch = plan.batch(number)
            loop.step.take(batch, np.random.default_rng((epoch, number)))
            pairs += int((batch.targets > 0).sum())
            done += 1
        epoch += 1


def throughput(folder: Path, steps: int, only: str, batch_size: int, times: int, most_warm: int) -> None:
    data = dataset.load(folder, ("train",))
    for name, changes, single in THROUGHPUT:
        if only not in name:
            continue
        loop = made(data, TrainConfig(**{**COMMON, **changes, "batch_size": batch_size}))
        if single:
            loop.batches = Batches(
                data.splits["train"], max_length=changes["max_length"], pairs=batch_size, single=True
            )
            loop.learner.backbone.extractor.reads_all_prefixes = False
        warm = min(len(loop.batches.epoch(np.random.default_rng(0))), most_warm)
        rates = []
        for repeat in range(times):
            seconds, pairs, padding = run_steps(loop, steps, warm if repeat == 0 else 0)
            rates.append(pairs / seconds)
        print(
            f"{name}: {statistics.median(rates):,.0f} pairs per CPU second"
            f" (of {times} runs {min(rates):,.0f} to {max(rates):,.0f}), padding {padding:.1%}",
            flush=True,
        )


def invented(count: int, users: int, length: int) -> Dataset:
    """Users whose items are spread over the whole catalogue, so that every step touches as many rows."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(1, count + 1, size=users * length, dtype=np.int32)
    none = np.zeros(0, dtype=np.int32)
    train = SplitData(
        users=[""] * users,
        offsets=np.arange(users + 1, dtype=np.int64) * length,
        items=drawn,
        target_offsets=np.zeros(users + 1, dtype=np.int64),
        targets=none,
        times=None,
    )
    # one record for all: the benchmark is of the step, not of reading a catalogue
    data = Dataset(Path("."), [Item(item="", title="")] * count, Vocab([]), {"train": train}, {})
    data.vocab.ids.extend([""] * count)
    return data


def catalogue(sizes: list[int], steps: int, checkpoints: bool) -> None:
    for count in sizes:
        changes = {**COMMON, "max_length": 50, "batch_size": 1024}
        loop = made(invented(count, 20_000, 51), TrainConfig(**changes))
        times = []
        run_steps(loop, 1, 150)
        for _ in range(5):
            seconds, _, _ = run_steps(loop, steps, 0)
            times.append(1000 * seconds / steps)
        told = f"{count:,} items: {statistics.median(times):.2f} ms a step, peak {peak():,.0f} MB"
        if checkpoints:
            with tempfile.TemporaryDirectory() as folder:
                keep(loop, Checkpoint(Path(folder) / "model", "benchmark"))
            told += f", {peak():,.0f} MB with checkpoints written and read"
        print(told, flush=True)


def peak() -> float:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def keep(loop: Loop, checkpoint: Checkpoint) -> None:
    """Write and read what a run writes and reads: twice, since the old file stays until the new one is there."""
    for epoch in (1, 2):
        checkpoint.save_best(loop.learner.weights(), epoch)
        checkpoint.save(loop.learner.state(), {})
        found = checkpoint.load()
        assert found is not None
        loop.learner.load_state(found[0])
        del found
        best = checkpoint.load_best()
        assert best is not None
        loop.learner.load_weights(best)


def memory(folder: Path) -> None:
    run(folder, folder / "memory-model", "-d", "64", "--epochs", "2", "--negatives", "1280")
    print(f"peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:,.0f} MB")


def run(folder: Path, output: Path, *options: str) -> float:
    """Train with item vectors from ids alone on one thread; CPU seconds."""
    command = [
        sys.executable,
        "-m",
        "eimf_cli",
        "train",
        str(folder),
        "--backbone",
        "comirec-sa",
        "-o",
        str(output),
        *options,
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--item-vectors", "random", "--threads", "1", "-q"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def with_labels(folder: Path, labels: Path, epochs: int, times: int) -> None:
    seconds: dict[str, list[float]] = {"alone": [], "with labels": []}
    # as many epochs, whatever the validation figures say
    options = ["-d", "64", "--epochs", str(epochs), "--patience", str(epochs)]
    with tempfile.TemporaryDirectory() as made:
        run(folder, Path(made) / "first", *options[:2], "--epochs", "1", "--labels", str(labels))
        for _ in range(times):
            seconds["alone"].append(run(folder, Path(made) / "alone", *options))
            seconds["with labels"].append(run(folder, Path(made) / "labels", *options, "--labels", str(labels)))
    alone, labelled = (statistics.median(found) for found in seconds.values())
    for name, found in seconds.items():
        print(f"{name}: {statistics.median(found):.1f} CPU s (of {times} runs {min(found):.1f} to {max(found):.1f})")
    print(f"with labels {labelled / alone:.2f} times alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("throughput", "catalogue", "memory", "labels"))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--only", default="")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--warm", type=int, default=1000, help="throughput: steps of warming up at most")
    parser.add_argument("--checkpoints", action="store_true", help="catalogue: the peak with checkpoints as well")
    parser.add_argument("--labels", type=Path, help="labels: the labels of the folder's users")
    parser.add_argument("--epochs", type=int, default=8, help="labels: epochs of each run")
    parser.add_argument("--items", default="10000,100000,1000000,5000000")
    given = parser.parse_args()
    if given.what == "throughput":
        throughput(given.folder, given.steps, given.only, given.batch_size, given.times, given.warm)
    elif given.what == "catalogue":
        for size in given.items.split(","):
            if "," in given.items:
                # a process each, so that peaks are their own
                arguments = [sys.executable, __file__, "catalogue", "--items", size, "--steps", str(given.steps)]
                subprocess.run([*arguments, *(["--checkpoints"] if given.checkpoints else [])], check=True)
            else:
                catalogue([int(size)], given.steps, given.checkpoints)
    elif given.what == "labels":
        with_labels(given.folder, given.labels, given.epochs, given.times)
    else:
        memory(given.folder)


if __name__ == "__main__":
    main()
