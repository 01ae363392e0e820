"""Time and memory of `eimf cluster` on many users, with generated text vectors instead of an encoder.

    python -m tests.benchmarks.cluster_size                                 1M users x 50 items, 100k items
    python -m tests.benchmarks.cluster_size --users 125000 --users 250000 --users 500000

Each size is a process of its own that reads generated files with times, as the command does, and
writes the samples. Items lie around 200 themes in 384 dimensions, a user takes from two to four of
them. "CPU s" is user and system time, "peak" the largest resident memory, mapped files included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
THEMES, DIMENSION = 200, 384


# -- what is measured on


def write_catalogue(folder: Path, items: int) -> None:
    """items.jsonl, and vectors.npy float16 (items + 1, DIMENSION); item i is of theme i % THEMES."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(THEMES, DIMENSION)).astype(np.float32)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (items + 1, DIMENSION))
    for start in range(0, items, 10_000):
        at = np.arange(start, min(start + 10_000, items))
        drawn = centres[at % THEMES] + rng.normal(size=(len(at), DIMENSION), scale=1.5)
        vectors[at + 1] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors.flush()
    with (folder / "items.jsonl").open("wb") as stream:
        for at in range(items):
            title = f"Theme{at % THEMES} thing{at // THEMES} of maker{at % 977}"
            stream.write(orjson.dumps({"item": f"i{at}", "title": title}, option=orjson.OPT_APPEND_NEWLINE))


def write_users(folder: Path, users: int, items: int, length: int) -> None:
    """sequences.jsonl: a training line of `length` items and times for each user."""
    rng = np.random.default_rng(1)
    per_theme = items // THEMES
    names = [f"i{at}" for at in range(items)]
    with (folder / "sequences.jsonl").open("wb") as stream:
        for start in range(0, users, 10_000):
            count = min(10_000, users - start)
            tastes = rng.integers(THEMES, size=(count, 4))
            taken = np.take_along_axis(tastes, rng.integers(rng.integers(2, 5, (count, 1)), size=(count, length)), 1)
            # the square of a uniform number favours the first things of a theme
            chosen = taken + THEMES * (per_theme * rng.random((count, length)) ** 2).astype(np.int64)
            times = np.sort(rng.integers(1_500_000_000, 1_700_000_000, (count, length)), axis=1)
            for row in range(count):
                line = {
                    "user": f"u{start + row}",
                    "split": "train",
                    "items": [names[at] for at in chosen[row]],
                    "times": times[row].tolist(),
                }
                stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


# -- the measurement


def child(folder: Path, settings: dict[str, Any]) -> None:
    """Run the step on a folder and print what it took as JSON."""
    from eimf_core import dataset
    from eimf_core.clustering import cluster
    from eimf_core.clustering.config import ClusterConfig
    from eimf_core.io import jsonl

    class Named:
        identity = name = "generated"

    cluster.open_encoder = lambda name, texts: Named()  # type: ignore[assignment, return-value]
    cluster.encode_items = lambda *_: np.load(folder / "vectors.npy", mmap_mode="r")  # type: ignore[assignment]
    marks = [("start", cpu())]
    load = dataset.load

    def loaded(*arguments: Any) -> Any:
        found = load(*arguments)
        marks.append(("load", cpu()))
        print(f"  read after {cpu():.0f} CPU s, peak {peak():.2f} GiB", file=sys.stderr, flush=True)
        return found

    dataset.load = loaded
    found = cluster.cluster_users(folder, ClusterConfig(**settings))
    marks.append(("cluster", cpu()))
    count = jsonl.write(folder / "samples.jsonl", found.samples())
    marks.append(("write", cpu()))
    parts = {name: round(at - before, 1) for (name, at), (_, before) in zip(marks[1:], marks[:-1], strict=True)}
    print(json.dumps({**parts, "samples": count, "clusters": len(found.summaries), "peak": round(peak(), 2)}))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, action="append", help="number of users; repeat for several sizes")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--clusters", default="auto")
    parser.add_argument("--budget", default="1%")
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder if not given")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.folder, arguments.child)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_catalogue(folder, arguments.items)
        columns = ("users", "clusters", "samples", "load", "cluster", "write", "CPU s", "us/user", "wall s", "peak GiB")
        print("  ".join(f"{column:>9}" for column in columns), flush=True)
        for users in arguments.users or [1_000_000]:
            write_users(folder, users, arguments.items, arguments.length)
            settings = json.dumps({"clusters": arguments.clusters, "budget": arguments.budget})
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, __file__, "--folder", folder, "--child", settings], check=True, stdout=subprocess.PIPE
            )
            wall = time.perf_counter() - began
            told = json.loads(done.stdout)
            total = told["load"] + told["cluster"] + told["write"]
            shown = (
                users, told["clusters"], told["samples"], told["load"], told["cluster"], told["write"],
                round(total, 1), round(1e6 * total / users, 1), round(wall, 1), told["peak"],
            )  # fmt: skip
            print("  ".join(f"{figure:>9}" for figure in shown), flush=True)


if __name__ == "__main__":
    main()
