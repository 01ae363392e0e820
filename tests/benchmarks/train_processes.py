"""What several processes cost and change: the same runs by one process and by N, NDCG@20 and seconds.

    python -m tests.benchmarks.train_processes DIR [--processes 2] [--seeds 3] [-- TRAIN OPTIONS]

DIR is a prepared directory with a test split. Prints a line a run and the difference of the means.
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

import orjson


def seconds() -> float:
    """CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train(folder: Path, model: Path, processes: int, options: list[str]) -> tuple[float, float]:
    """Train a model; wall and CPU seconds."""
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    clock, used = time.monotonic(), seconds()
    subprocess.run([*start, "eimf_cli", "train", str(folder), "-q", *options, "-o", str(model)], check=True)
    return time.monotonic() - clock, seconds() - used


def ndcg(folder: Path, model: Path) -> float:
    """NDCG@20 on the test split."""
    command = [sys.executable, "-m", "eimf_cli", "eval", str(model), str(folder), "-k", "20", "-q", "-o", "-"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    found = [
        line["value"] for line in lines
        if line["metric"] == "ndcg" and line["model"] == str(model) and "compared_to" not in line
        and line.get("slice", "all") == "all"
    ]  # fmt: skip
    return float(found[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:split])
    options = words[split + 1 :]
    figures: dict[int, list[float]] = {1: [], given.processes: []}
    for seed in range(given.seeds):
        for processes in figures:
            with tempfile.TemporaryDirectory() as scratch:
                model = Path(scratch) / "model"
                wall, cpu = train(given.folder, model, processes, [*options, "--seed", str(seed)])
                figures[processes].append(ndcg(given.folder, model))
            print(
                f"seed {seed}, {processes} process(es): NDCG@20 {figures[processes][-1]:.4f}, "
                f"{wall:.0f} s, {cpu:.0f} CPU s",
                flush=True,
            )
    one, more = statistics.mean(figures[1]), statistics.mean(figures[given.processes])
    print(f"mean of {given.seeds} seeds: {one:.4f} and {more:.4f}, difference {more - one:+.4f}")


if __name__ == "__main__":
    main()
