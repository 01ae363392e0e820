"""Speed and memory of `eimf eval`, on generated vectors or beside RecBole on the same data.

    python -m tests.benchmarks.eval_speed                          12,000 items, 20,000 users
    python -m tests.benchmarks.eval_speed --items 1000000 --users 5000
    python -m tests.benchmarks.eval_speed --data DIR --recbole V/bin/python

The model has 64 dimensions and 4 interests (comirec-sa with drawn weights: speed does not depend on
them). Every measurement is a process of its own. "ranking" is scoring, top-k and all metrics of
`-m all`; "whole" is the command without baselines, from reading the files to the last interval.
--recbole names a Python that has RecBole 1.2.1 (python -m venv V && V/bin/pip install recbole==1.2.1
torch==2.13.0 "numpy<2" "scipy<1.14" "pandas<2.3" "setuptools<81"): its full-sort evaluation of a SASRec
of its own default size on the test lines of DIR, beside our sasrec of that size. It computes the accuracy
metrics alone: asked for coverage and Gini without a training run, it ends with an exception.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

DIMENSION, INTERESTS, LONGEST = 64, 4, 50
ACCURACY = "recall,mrr,ndcg,hit_rate,precision,map"
"""What RecBole is asked for."""


# -- what is measured on


def write_data(folder: Path, items: int, users: int, rng: np.random.Generator) -> None:
    """A catalogue with categories, and users with 5 to 50 items of history and one target."""
    from eimf_core.io import jsonl
    from eimf_core.records import Item, Sequence

    jsonl.write(
        folder / "items.jsonl",
        (Item(item=f"i{at}", title=f"Item {at}", categories=[f"c{at % 50}", f"d{at % 7}"]) for at in range(items)),
    )

    def lines() -> Any:
        for user in range(users):
            history = [f"i{at}" for at in rng.integers(0, items, int(rng.integers(5, LONGEST + 1)))]
            if user < 1000:
                yield Sequence(user=f"u{user}", split="train", items=history)
            yield Sequence(user=f"u{user}", split="test", items=history, targets=[f"i{rng.integers(items)}"])

    jsonl.write(folder / "sequences.jsonl", lines())


def write_model(folder: Path, data: Path, name: str = "comirec-sa") -> None:
    """A model directory for a catalogue, its weights drawn; `name` is a backbone."""
    import torch

    from eimf_core import dataset
    from eimf_core.model_directory import artifact
    from eimf_core.model_directory.opened_model import ModelConfig
    from eimf_core.models import registry
    from eimf_core.models.shape import Shape
    from eimf_core.training import export

    items = dataset.load_items(data / "items.jsonl")
    shape = Shape(DIMENSION, INTERESTS, LONGEST)
    backbone = registry.build(name, shape, torch.Generator().manual_seed(0))
    vectors = np.random.default_rng(0).normal(size=(len(items) + 1, DIMENSION)).astype(np.float32)
    config = ModelConfig(
        backbone=name,
        items=len(items),
        dimension=DIMENSION,
        interests=registry.interests_of(name, INTERESTS),
        max_length=LONGEST,
    )
    weights = {"item_vectors": vectors, "item_counts": np.zeros(len(items) + 1, np.int64)}
    artifact.write(
        folder, artifact.Contents(config=config, items=items, weights=weights, network=export.network(backbone))
    )


# -- in a process of its own


def measure_ranking(model: Path, data: Path, users: int, threads: int, metrics: list[str]) -> dict[str, float]:
    """Users per second of wall and of CPU time, and the memory that came on top of what was loaded."""
    from eimf_core import dataset
    from eimf_core.evaluation import config, eval_users
    from eimf_core.evaluation.measure import MeasurePlan, measure
    from eimf_core.evaluation.metrics import list_metrics
    from eimf_core.evaluation.scorers import ModelSystem

    loaded = dataset.load(data, ("train", "test"))
    system = ModelSystem(model, loaded)
    asked = eval_users.select(loaded, "test", "drop", [system.known])
    if users:
        asked = first(asked, users)
    plan = MeasurePlan(
        ks=[10, 20],
        metrics=config.EvalConfig(metrics=metrics).metrics,
        seen="drop",
        facts=list_metrics.catalogue_facts(loaded),
        priority=np.random.default_rng(0).permutation(len(loaded.vocab) + 1),
        threads=threads,
    )
    # the tables are read once before: what is measured is the work per user
    measure(system, first(asked, 256), plan)
    before, began, cpu = memory(), time.perf_counter(), time.process_time()
    measure(system, asked, plan)
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    return {
        "users": len(asked),
        "users_per_second": len(asked) / wall,
        "users_per_cpu_second": len(asked) / used,
        "seconds": wall,
        "peak_MiB": memory(),
        "peak_before_MiB": before,
    }


def measure_bootstrap(threads: int) -> dict[str, float]:
    """10,000 resamples of 100,000 users and 8 figures, and as many random signs."""
    from eimf_core.evaluation import statistics as tested

    values = np.random.default_rng(0).random((100_000, 8), dtype=np.float32)
    made: dict[str, float] = {}
    for name, function, given in (
        ("bootstrap", tested.bootstrap_means, values),
        ("randomisation", tested.randomisation_p, values - np.float32(0.5)),
    ):
        began, cpu = time.perf_counter(), time.process_time()
        function(given, 10_000, np.random.default_rng(1), threads)
        made |= {f"{name}_seconds": time.perf_counter() - began, f"{name}_cpu_seconds": time.process_time() - cpu}
    return made


def first(asked: Any, users: int) -> Any:
    """The first cases alone."""
    from dataclasses import replace

    users = min(users, len(asked))
    return replace(asked, lines=asked.lines[:users], target_offsets=asked.target_offsets[: users + 1])


def memory() -> float:
    """Largest resident memory of this process so far, in MiB (Linux)."""
    # ru_maxrss would count the process that started this one
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


RECBOLE = """
import json, logging, sys, time
import numpy, torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
config = Config(model="SASRec", dataset="data", config_dict={
    "data_path": folder, "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "TIME_FIELD": "timestamp",
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "MAX_ITEM_LIST_LENGTH": 50, "device": "cpu",
    "train_neg_sample_args": None, "topk": [10, 20], "show_progress": False, "use_gpu": False,
    "metrics": ["Recall", "MRR", "NDCG", "Hit", "Precision", "MAP"],
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
})
logging.disable(logging.CRITICAL)
init_seed(0, True)
dataset = create_dataset(config)
train, valid, test = data_preparation(config, dataset)
model = get_model("SASRec")(config, train._dataset).to("cpu")
trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
began, cpu = time.perf_counter(), time.process_time()
trainer.evaluate(test, load_best_model=False, show_progress=False)
wall, used = time.perf_counter() - began, time.process_time() - cpu
users = dataset.user_num - 1
print(json.dumps({"users": users, "users_per_second": users / wall, "users_per_cpu_second": users / used,
                  "seconds": wall}))
"""


def write_for_recbole(data: Path, folder: Path) -> None:
    """The users' histories and targets of the test lines as one .inter file."""
    from eimf_core.io import jsonl
    from eimf_core.records import Sequence

    (folder / "data").mkdir()
    with (folder / "data" / "data.inter").open("w") as out:
        out.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for line in jsonl.read(data / "sequences.jsonl", Sequence):
            if line.split == "test":
                for at, item in enumerate([*line.items, *line.targets]):
                    out.write(f"{line.user}\t{item}\t{at}\n")


# -- the measurements


def spawn(python: str, arguments: list[str], threads: int, folder: Path | None = None) -> dict[str, float]:
    """The JSON that a process prints last; it may leave files in its `folder`."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run([python, *arguments], capture_output=True, env=environment, cwd=folder, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode())
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def whole_command(model: Path, data: Path, threads: int) -> dict[str, float]:
    """The command as its user runs it."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "eimf_cli", "eval", str(model), str(data), "-m", "all", "--baselines", "none"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    subprocess.run([*command, "-q"], stdout=subprocess.DEVNULL, check=True, env=environment, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - began, "cpu_seconds": cpu}


def median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(row[key] for row in rows), 1) for key in rows[0]}


def show(what: str, figures: dict[str, float]) -> None:
    print(json.dumps({"measured": what, **figures}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--data", type=Path, help="a prepared directory instead of generated data")
    parser.add_argument("--recbole", metavar="PYTHON", help="a Python that has RecBole; needs --data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3, help="medians of so many runs")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--metrics", default="all", help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    script = str(Path(__file__).resolve())
    if chosen.bootstrap:
        print(json.dumps(measure_bootstrap(chosen.threads)))
        return
    if chosen.measure:
        print(json.dumps(measure_ranking(*chosen.measure, chosen.users, chosen.threads, chosen.metrics.split(","))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = chosen.data or folder / "data"
        if not chosen.data:
            data.mkdir()
            write_data(data, chosen.items, chosen.users, np.random.default_rng(0))
        write_model(folder / "model", data)

        def ranking(users: int, model: str = "model", metrics: str = "all") -> dict[str, float]:
            arguments = [script, "--measure", str(folder / model), str(data)]
            arguments += ["--users", str(users), "--threads", str(chosen.threads), "--metrics", metrics]
            return median([spawn(sys.executable, arguments, chosen.threads) for _ in range(chosen.runs)])

        all_users = ranking(0)
        show("ranking", all_users)
        half = ranking(int(all_users["users"]) // 2)
        show("ranking, half the users", half)
        show("ranking, 1,000,000 users extrapolated", {"hours": round(1e6 / all_users["users_per_second"] / 3600, 2)})
        resampling = [script, "--bootstrap", "--threads", str(chosen.threads)]
        drawn = [spawn(sys.executable, resampling, chosen.threads) for _ in range(chosen.runs)]
        show("10,000 resamples of 100,000 users", median(drawn))
        show("whole", median([whole_command(folder / "model", data, chosen.threads) for _ in range(chosen.runs)]))
        if chosen.recbole:
            write_for_recbole(data, folder)
            arguments = ["-c", RECBOLE, str(folder), str(chosen.threads)]
            theirs = median([spawn(chosen.recbole, arguments, chosen.threads, folder) for _ in range(chosen.runs)])
            show("RecBole, SASRec, full sort", theirs)
            write_model(folder / "sasrec", data, "sasrec")
            alike, same = ranking(0, "sasrec"), ranking(0, "sasrec", ACCURACY)
            show("ranking, sasrec", alike)
            show("ranking, sasrec, RecBole's metrics", same)
            for name, ours in (
                ("sasrec, the same metrics", same),
                ("sasrec, all metrics", alike),
                ("comirec-sa, 4 interests, all metrics", all_users),
            ):
                times = {unit: round(ours[unit] / theirs[unit], 1) for unit in theirs if unit.startswith("users_")}
                show(f"times as fast as RecBole: {name}", times)


if __name__ == "__main__":
    main()
