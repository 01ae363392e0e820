"""JSON lines of every record that a step reads, and the sidecar beside sequences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from eimf_core.io import jsonl
from eimf_core.records import Query
from tests import in_process
from tests.recommend_models import write_named_model
from tests.robustness import mutations
from tests.robustness.trial import Kind, Trial
from tests.small_data import write_small_data

MODULES = (
    "eimf_cli.cluster", "eimf_cli.eval", "eimf_cli.label", "eimf_cli.recommend", "eimf_cli.score", "eimf_cli.similar",
    "eimf_core.clustering.cluster", "eimf_core.evaluation.evaluate", "eimf_core.labeling.label", "onnxruntime", "onnx",
    "eimf_core.labeling.engines.keywords", "eimf_core.labeling.engines.categories", "eimf_core.recommend.session",
    "eimf_core.text.numpy_encoder", "eimf_core.labeling.scoring", "sklearn.cluster", "eimf_core.labeling.engines.batch",
)  # fmt: skip


def make(folder: Path) -> None:
    """A prepared directory with its text vectors, samples, labels, a model and Query lines."""
    (folder / "data").mkdir()
    write_small_data(folder / "data", users=30, times=True)
    for command in (
        ["cluster", "data", "--budget", "8", "-o", "samples.jsonl"],
        ["label", "samples.jsonl", "--engine", "keywords", "-o", "labels.jsonl"],
    ):
        done = in_process.eimf(command, stdin=b"", cwd=folder, environment={})
        assert done.returncode == 0, done.stderr
    write_named_model(folder / "model", words=True)
    queries = [
        Query(id="1", history=["tea-1", "yarn-2"], k=3), Query(titles=["Green Tea"]), Query(text="tea for two"),
        Query(history=["tea-1", "fish-3"], times=[1.6e9, 1.61e9], exclude=["tea-2"], diversity=0.3),
        Query(history=["fish-1"], only=["fish-2", "tea-1"], seen="keep"),
    ]  # fmt: skip
    jsonl.write(folder / "queries.jsonl", queries)
    (folder / "ids.txt").write_text("tea-1\nyarn-2\nfish-3\n")


def _changed(trial: Trial, name: str) -> None:
    mutations.change(trial.folder / name, trial.rng, mutations.of_lines)


def _lines(raw: bytes, trial: Trial) -> None:
    """Whoever reads what was written can parse it."""
    for line in raw.splitlines():
        try:
            json.loads(line.decode())
        except ValueError:
            trial.expect(False, f"not a line of JSON: {line[:200]!r}")


def _sequences(trial: Trial) -> None:
    _changed(trial, "data/sequences.jsonl")
    _read_data(trial)


def _items(trial: Trial) -> None:
    _changed(trial, "data/items.jsonl")
    _read_data(trial)


def _sidecar(trial: Trial) -> None:
    _changed(trial, "data/sequences.jsonl.meta.json")
    _read_data(trial)


def _read_data(trial: Trial) -> None:
    what = trial.rng.randrange(7)
    if what == 0:
        trial.eimf("cluster", "data", "--budget", "8", "--clusters", "3", "-o", "out.jsonl", outputs=["out.jsonl"])
    elif what == 1:
        trial.eimf("eval", "model", "data", "--resamples", "100", "-o", "out.jsonl", outputs=["out.jsonl"])
    elif what == 2:
        trial.eimf("label", "samples.jsonl", "--engine", "categories", "--items", "data/items.jsonl")
    elif what == 3:
        trial.eimf("recommend", "model", "--items", "tea-1", "--new-items", "data/items.jsonl")
    elif what == 4:
        trial.eimf("score", "labels.jsonl", "--samples", "samples.jsonl", "--truth", "data/items.jsonl")
    else:
        trial.eimf("recommend", "model", "--user", "user-3", "--sequences", "data/sequences.jsonl")


def _samples(trial: Trial) -> None:
    _changed(trial, "samples.jsonl")
    if trial.rng.random() < 0.3:
        trial.eimf("score", "labels.jsonl", "--samples", "samples.jsonl", "--truth", "data/items.jsonl")
    elif (trial.folder / "samples.jsonl").is_file() and trial.rng.random() < 0.3:
        raw = (trial.folder / "samples.jsonl").read_bytes()
        _lines(trial.eimf("label", "-", "--engine", "keywords", stdin=raw).stdout, trial)
    else:
        how = (["keywords"], ["categories", "--items", "data/items.jsonl"], ["batch", "--model", "any"])
        arguments = ("label", "samples.jsonl", "-o", "new.jsonl", "--engine", *how[trial.rng.randrange(len(how))])
        requests = ["new.requests.jsonl"]
        trial.eimf(*arguments, outputs=["new.jsonl", "new.jsonl.partial", *requests])


def _labels(trial: Trial) -> None:
    _changed(trial, "labels.jsonl")
    what = trial.rng.randrange(3)
    if what == 0:
        trial.eimf("eval", "model", "data", "--labels", "labels.jsonl", "--slice", "labels", "--resamples", "100")
    elif what == 1:
        arguments = ("label", "samples.jsonl", "--engine", "keywords", "-o", "labels.jsonl")
        # where the file is a link, the one that it leads to is written
        trial.eimf(*arguments, outputs=["labels.jsonl", "labels.jsonl.partial", "moved-labels.jsonl"])
    else:
        trial.eimf("score", "labels.jsonl", "--samples", "samples.jsonl", "--truth", "data/items.jsonl")


def _journal(trial: Trial) -> None:
    """What an interrupted run left: the labels are those of a run without it, or it is refused."""
    wanted = (trial.folder / "labels.jsonl").read_bytes()
    cut = wanted.splitlines(keepends=True)[:5]
    (trial.folder / "again.jsonl.partial").write_bytes(b"".join(cut))
    _changed(trial, "again.jsonl.partial")
    arguments = ("label", "samples.jsonl", "--engine", "keywords", "-o", "again.jsonl")
    trial.eimf(*arguments, outputs=["again.jsonl", "again.jsonl.partial", "moved-again.jsonl.partial"])


def _queries(trial: Trial) -> None:
    _changed(trial, "queries.jsonl")
    path = trial.folder / "queries.jsonl"
    more = ["--on-error", "skip"] if trial.rng.random() < 0.5 else []
    if path.is_file() and trial.rng.random() < 0.6:
        _lines(trial.eimf("recommend", "model", *more, stdin=path.read_bytes()).stdout, trial)
    else:
        _lines(trial.eimf("recommend", "model", "--queries", "queries.jsonl", *more).stdout, trial)


def _ids(trial: Trial) -> None:
    mutations.change(trial.folder / "ids.txt", trial.rng, mutations.of_text)
    option = trial.rng.choice(("--exclude-items", "--only-items"))
    trial.eimf("recommend", "model", "--items", "tea-1,fish-2", option, "ids.txt")


def _kind(name: str, share: int, trial: Callable[[Trial], None]) -> Kind:
    return Kind(name, share, make, trial, modules=MODULES)


KINDS = [
    _kind("sequences", 60, _sequences),
    _kind("items", 40, _items),
    _kind("sidecars", 15, _sidecar),
    _kind("samples", 50, _samples),
    _kind("labels", 40, _labels),
    _kind("journals", 15, _journal),
    _kind("queries", 60, _queries),
    _kind("ids", 40, _ids),
]
