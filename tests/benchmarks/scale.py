"""The whole chain on an invented log of up to 20 million interactions, a million users and a million items.

    python -m tests.benchmarks.scale FOLDER                   20M interactions; FOLDER needs 8 GB
    python -m tests.benchmarks.scale FOLDER --share 0.05      a twentieth of it
    python -m tests.benchmarks.scale FOLDER --again eval      one step again

Each step is a process of its own: `eimf` as a user of such a log would call it. Its figures are kept in
FOLDER/figures.jsonl, so that the same command goes on behind the last step that ended well. "CPU s" is user and system
time, "peak" the largest resident memory of a process, mapped files included, "disk" what the step wrote. The step
"index" needs faiss.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EVALUATED = 10_000  # users
EIMF = [sys.executable, "-m", "eimf_cli"]


def steps(folder: Path, share: float, threads: int) -> dict[str, tuple[list[str], list[Path]]]:
    """The command of each step and what it writes."""
    log, data, model = folder / "log.parquet", folder / "data", folder / "model"
    items, samples, few, listed = (
        folder / name for name in ("items.parquet", "samples.jsonl", "few", "recommendations.parquet")
    )
    speed = ["--threads", str(threads)]
    generate = [sys.executable, "-m", "tests.benchmarks.scale_log", str(folder), "--share", str(share)]
    return {
        "generate": (generate, [log, items]),
        "prepare": ([*EIMF, "prepare", str(log), "--items", str(items), *speed, "-o", str(data)], [data]),
        "cluster": ([*EIMF, "cluster", str(data), "--budget", "1000", "-o", str(samples)], [samples, data / ".cache"]),
        "train": ([*EIMF, "train", str(data), "--fast", "--epochs", "1", *speed, "-o", str(model)], [model]),
        "eval": ([*EIMF, "eval", str(model), str(few), *speed, "-o", str(folder / "metrics.jsonl")], [few / ".cache"]),
        "index": ([*EIMF, "index", str(model)], [model / "index.safetensors"]),
        "recommend": (
            [*EIMF, "recommend", str(model), "--all-users", str(data), "--index", *speed, "-o", str(listed)],
            [listed],
        ),
    }


def measure(command: list[str]) -> dict[str, float]:
    """Run a command; what it took."""
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"ended with {process.returncode}: {' '.join(command)}")
    return {
        "wall": round(time.perf_counter() - began, 1),
        "cpu": round(used.ru_utime + used.ru_stime, 1),
        "peak": round(used.ru_maxrss / 2**20, 2),
    }


def leave_few(data: Path, few: Path) -> None:
    """A prepared directory of which EVALUATED lines of the test split are left, spread over all of them."""
    shutil.rmtree(few, ignore_errors=True)
    few.mkdir()
    for path in data.iterdir():
        if path.is_file() and path.name != "sequences.jsonl":
            os.link(path, few / path.name)
    with (data / "sequences.jsonl").open("rb") as lines:
        total = sum(b'"split":"test"' in line for line in lines)
    wanted = {at * total // EVALUATED for at in range(EVALUATED)}
    with (data / "sequences.jsonl").open("rb") as lines, (few / "sequences.jsonl").open("wb") as out:
        out.writelines(_kept(lines, wanted))


def _kept(lines: Any, wanted: set[int]) -> Iterator[bytes]:
    number = 0
    for line in lines:
        is_test = b'"split":"test"' in line
        if not is_test or number in wanted:
            yield line
        number += is_test


def size(path: Path) -> int:
    """Bytes of a file or of all files of a folder but those of a cache in it."""
    if path.is_file():
        return path.stat().st_size
    inside = (each for each in path.rglob("*") if ".cache" not in each.relative_to(path).parts)
    return sum(each.stat().st_size for each in inside if each.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="of 20M interactions, 1M users and 1M items")
    parser.add_argument("--threads", type=int, default=1, help="passed on where a step takes it")
    parser.add_argument("--again", action="append", default=[], metavar="STEP", help="measure this step anew")
    parser.add_argument("--until", metavar="STEP", help="stop behind this step")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "figures.jsonl"
    done = {}
    if kept.exists():
        done = {line["step"]: line for line in map(json.loads, kept.read_text().splitlines())}
    for name, (command, outputs) in steps(given.folder, given.share, given.threads).items():
        if name not in done or name in given.again:
            if name == "eval":
                leave_few(given.folder / "data", given.folder / "few")
            found = {"step": name, **measure(command)}
            done[name] = {**found, "mb": round(sum(map(size, outputs)) / 1e6)}
            with kept.open("a") as stream:
                stream.write(json.dumps(done[name]) + "\n")
        if name == given.until:
            break
    print("| step | wall s | CPU s | peak GB | disk MB |\n|---|---|---|---|---|")
    for name, line in done.items():
        print(f"| {name} | {line['wall']:,.0f} | {line['cpu']:,.0f} | {line['peak']:.2f} | {line['mb']:,} |")


if __name__ == "__main__":
    main()
