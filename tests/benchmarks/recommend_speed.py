"""How long `eimf recommend` takes, whole processes from start to exit, beside what they must import.

    python -m tests.benchmarks.recommend_speed [--items 12000] [--dimension 128] [--large] [--runs 20] [--threads 2]
        [--neighbours 50] [--backbone comirec-sa+narm]

Makes a model of so many items (untrained: the time does not depend on what was learned), the default ensemble if
nothing else is asked for, K = 4 in each member, and prints the median time of the import alone, of --items, of
--text, and users per second of a batch of Query lines with 20 items each; with --large also time and memory of
comirec-sa with a million items, titles typed by hand among them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from eimf_core.model_directory.next_items import NextItems, NextItemsConfig
from eimf_core.training.config import DEFAULT

if TYPE_CHECKING:
    from eimf_core.model_directory.artifact import Contents

IMPORTS = "import numpy, onnxruntime, typer, rich"
INTERESTS, LONGEST, NAMED, HISTORY = 4, 50, 500, 20


def write_model(
    path: Path, items: int, dimension: int, *, backbone: str = "comirec-sa", labels: bool = True, neighbours: int = 0,
    seed: int = 0,
) -> Path:  # fmt: skip
    """A model directory with random weights and an adapter, named interests with `labels`, and a graph of next items
    in which each item has so many `neighbours` at random."""
    from eimf_core.model_directory import artifact
    from eimf_core.training import item_naming, next_item_choice

    graph = random_graph(items, neighbours, seed) if neighbours else None
    names = backbone.split("+")
    if len(names) == 1:
        contents = random_model(items, dimension, backbone, labels=labels, seed=seed)
    else:
        contents = random_ensemble(items, dimension, names, labels=labels, seed=seed)
    artifact.write(path, next_item_choice.added(item_naming.with_names(contents), graph))
    return path


def random_ensemble(items: int, dimension: int, names: list[str], *, labels: bool, seed: int) -> Contents:
    """Members of these names with equal weights."""
    from types import SimpleNamespace

    from eimf_core.model_directory import artifact
    from eimf_core.training import join

    with tempfile.TemporaryDirectory() as folder:
        for at, name in enumerate(names):
            made = random_model(items, dimension, name, labels=labels, seed=seed + at)
            artifact.write(Path(folder) / str(at), made)
        members = [artifact.open_model(Path(folder) / str(at)) for at in range(len(names))]
        ensemble = join.Ensemble(members, [1 / len(names)] * len(names))
        data: Any = SimpleNamespace(items=list(members[0].catalogue))
        return join.contents(ensemble, data, training={}, provenance={})


def random_graph(items: int, neighbours: int, seed: int) -> NextItems:
    """Each item has so many neighbours, distinct in each row: a random start and a random step."""
    rng = np.random.default_rng(seed)
    starts, steps = rng.integers(items, size=(items, 1)), rng.integers(1, max(2, items // neighbours), (items, 1))
    arrays = {
        "starts": np.concatenate([[0], np.arange(items + 1) * neighbours]),
        "items": ((starts + steps * np.arange(neighbours)) % items + 1).astype(np.int32).ravel(),
        "values": rng.random(items * neighbours, dtype=np.float32),
    }
    return NextItems(arrays, NextItemsConfig(weight=0.9, decay=0.7, last=5))


def random_model(items: int, dimension: int, backbone: str, *, labels: bool, seed: int) -> Contents:
    """A model of one backbone, with named interests or without, and no groups of items."""
    import torch

    from eimf_core.model_directory import artifact
    from eimf_core.model_directory.opened_model import ModelConfig
    from eimf_core.models import registry
    from eimf_core.models.shape import Shape
    from eimf_core.records import Item, SemanticInterest
    from eimf_core.text import numpy_encoder
    from eimf_core.training import export

    rng = np.random.default_rng(seed)
    shape = Shape(dimension=dimension, interests=registry.interests_of(backbone, INTERESTS), max_length=LONGEST)
    network = registry.build(backbone, shape, torch.Generator().manual_seed(seed))
    vectors = rng.normal(size=(items + 1, dimension)).astype(np.float32)
    vectors[0] = 0
    scale = (1 / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)).astype(np.float32)
    width = numpy_encoder.packaged().dimension
    weights = {
        "item_vectors": vectors,
        "item_scale": scale,
        "item_counts": np.ones(items + 1, dtype=np.int64),
        "named_vectors": rng.normal(size=(NAMED, dimension)).astype(np.float32),
        "adapter_weight": rng.normal(size=(dimension, width)).astype(np.float32),
        "adapter_bias": np.zeros(dimension, dtype=np.float32),
    }
    weights |= {f"backbone.{name}": part.numpy() for name, part in network.state_dict().items()}
    config = ModelConfig(
        backbone=backbone,
        items=items,
        dimension=dimension,
        interests=shape.interests,
        max_length=LONGEST,
        text_encoder=numpy_encoder.packaged().identity,
        text_dimension=width,
    )
    catalogue = [
        Item(item=f"B{number:09}", title=f"Invented thing no. {number % 997}, {number} g", categories=["Things"])
        for number in range(1, items + 1)
    ]
    named = [SemanticInterest(name=f"interest {number}") for number in range(NAMED if labels else 0)]
    return artifact.Contents(
        config=config, items=catalogue, weights=weights, network=export.network(network), named=named
    )


def made(
    path: Path, items: int, dimension: int, *, backbone: str = "comirec-sa", labels: bool = True, neighbours: int = 0
) -> Path:
    """`write_model` in a process of its own: a child's peak memory is at least that of its parent."""
    command = [sys.executable, "-m", "tests.benchmarks.recommend_speed", "--write", path, "--items", items]
    command += [] if labels else ["--no-labels"]
    command += ["--dimension", dimension, "--neighbours", neighbours, "--backbone", backbone]
    subprocess.run([*map(str, command)], check=True)
    return path


def write_queries(path: Path, items: int, lines: int, *, seed: int = 1) -> Path:
    """Query lines with a history each."""
    drawn = np.random.default_rng(seed).integers(1, items + 1, size=(lines, HISTORY))
    with path.open("wb") as stream:
        for number, row in enumerate(drawn):
            stream.write(orjson.dumps({"id": f"u{number}", "history": [f"B{item:09}" for item in row]}) + b"\n")
    return path


def eimf(*arguments: object) -> list[str]:
    """The command line of a run."""
    return [sys.executable, "-m", "eimf_cli", "recommend", *map(str, arguments)]


def timed(command: list[str], runs: int, *, stdin: Path | None = None) -> tuple[float, float, float]:
    """Median wall and CPU seconds of a process from start to exit, and its peak memory in MB."""
    walls, cpus, peak = [], [], 0
    # an installed package has its modules compiled, which this variable would prevent in a checkout
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for number in range(runs + 1):
        with open(stdin or os.devnull, "rb") as source, open(os.devnull, "wb") as sink:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdin=source, stdout=sink, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}")
        # the first run fills the caches of the system, and compiles
        if number or runs == 0:
            walls.append(wall)
            cpus.append(usage.ru_utime + usage.ru_stime)
            peak = max(peak, usage.ru_maxrss)
    return statistics.median(walls), statistics.median(cpus), peak / 1024


def show(what: str, wall: float, cpu: float, memory: float, more: str = "") -> None:
    print(f"{what:<44} {wall:7.3f} s  CPU {cpu:7.3f} s  {memory:7.0f} MB  {more}", flush=True)


def show_imports(command: list[str], most: int = 12) -> None:
    """The packages that take longest to import, each with what only it imports, in milliseconds."""
    timed_imports = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(timed_imports, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    taken: dict[str, int] = {}
    for line in done.stderr.decode().splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            package = name.strip().split(".")[0]
            taken[package] = taken.get(package, 0) + int(own)
    for package in sorted(taken, key=lambda package: -taken[package])[:most]:
        print(f"    {package:<24} {taken[package] / 1000:6.1f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--dimension", type=int, default=128, help="of each member")
    parser.add_argument("--backbone", default=DEFAULT, help="a backbone, or several joined by +")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--threads", type=int, help="of the batch; what recommend chooses if not given")
    parser.add_argument("--large", action="store_true", help="a million items too")
    parser.add_argument("--index", action="store_true", help="with --large: build an index and ask through it")
    parser.add_argument("--imports", action="store_true", help="the largest parts of what --items imports")
    parser.add_argument("--no-labels", action="store_true", help="a model whose names are made of words")
    parser.add_argument("--neighbours", type=int, default=50, help="of each item in the graph of next items; 0: none")
    parser.add_argument("--write", type=Path, help="only write a model there")
    arguments = parser.parse_args()
    if arguments.write:
        write_model(
            arguments.write, arguments.items, arguments.dimension,
            backbone=arguments.backbone, labels=not arguments.no_labels, neighbours=arguments.neighbours,
        )  # fmt: skip
        return
    with tempfile.TemporaryDirectory() as folder:
        labels, neighbours = not arguments.no_labels, arguments.neighbours
        path = Path(folder) / "model"
        kind: dict[str, Any] = {"backbone": arguments.backbone, "labels": labels, "neighbours": neighbours}
        model = made(path, arguments.items, arguments.dimension, **kind)
        base = timed([sys.executable, "-c", IMPORTS], arguments.runs)
        show(f"{IMPORTS}", *base)
        one = timed(eimf(model, "--items", "B000000001,B000000002,B000000003"), arguments.runs)
        show(f"--items, {arguments.items:,} items", *one, f"{one[0] / base[0]:.2f} times the imports")
        if arguments.imports:
            show_imports(eimf(model, "--items", "B000000001"))
        show("--text", *timed(eimf(model, "--text", "dark Scandinavian crime"), arguments.runs))
        queries = write_queries(Path(folder) / "queries.jsonl", arguments.items, arguments.lines)
        for more in (["--anchors", "0"], []):
            more += ["--threads", arguments.threads] if arguments.threads else []
            batch = timed(eimf(model, *more), max(1, min(3, arguments.runs)), stdin=queries)
            rate = arguments.lines / batch[0]
            show(f"{arguments.lines:,} lines {' '.join(map(str, more))}", *batch, f"{rate:,.0f} users/s")
        if arguments.large:
            large = made(Path(folder) / "large", 1_000_000, arguments.dimension, neighbours=neighbours)
            show("--items, 1,000,000 items", *timed(eimf(large, "--items", "B000000001,B000000002"), arguments.runs))
            few = max(1, min(3, arguments.runs))
            for typed in ("Invented thing no. 36, 5021 g", "invented THING no 36, 5021 g", "inventd thing 5021 g"):
                show(f"--like '{typed}'", *timed(eimf(large, "--first-match", "--like", typed), few))
            if arguments.index:
                subprocess.run([sys.executable, "-m", "eimf_cli", "index", str(large)], check=True)
                show("--index", *timed(eimf(large, "--index", "--items", "B000000001,B000000002"), arguments.runs))


if __name__ == "__main__":
    main()
