"""Every setting of an evaluation does something: another value gives other records."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.errors import ConfigError
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.io import jsonl
from eimf_core.records import Label, Metric, Sequence
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model

BASE: dict[str, Any] = {"k": [3], "metrics": ["recall", "coverage"], "slice": ["labels"], "resamples": 200}
OTHER: dict[str, Any] = {
    "split": "valid",
    "k": [4],
    "seen": "keep",
    "metrics": ["ndcg"],
    "baselines": "none",
    "slice": ["labels", "history"],
    "group": True,
    "labels": "fewer.jsonl",
    "seed": 1,
    "resamples": 100,
}
CHANGE_NOTHING = {"threads": (1, 3), "compare_with": (None, "previous.jsonl")}
"""Figures depend neither on the machine nor on what they are compared with."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_small_data(tmp_path_factory.mktemp("data"))
    trained = [line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split == "train"]
    labels = [
        Label(
            key=dataset.sample_key(line.user, line.items), request="r", user=line.user, cluster=0, interests=[],
            items_by="model", engine="e", model="m", seed=0, attempts=1, seconds=0.0,
        )
        for line in trained[:20]
    ]  # fmt: skip
    jsonl.write(folder / "labels.jsonl", labels)
    jsonl.write(folder / "fewer.jsonl", labels[:5])
    items = dataset.load_items(folder / "items.jsonl")
    rng = np.random.default_rng(0)
    vectors = taste_vectors(items)
    for seed in (0, 1):
        noise = rng.normal(size=vectors.shape).astype(np.float32)
        write_small_model(folder / f"model{seed}", items, vectors + noise, seed=seed)
    return folder


def records(folder: Path, **changed: Any) -> list[Metric]:
    settings = {**BASE, "labels": "labels.jsonl", **changed}
    settings["labels"] = folder / settings["labels"]
    if settings.get("compare_with"):
        settings["compare_with"] = folder / settings["compare_with"]
        jsonl.write(settings["compare_with"], records(folder))
    return evaluate([folder / "model0", folder / "model1"], folder, EvalConfig(**settings)).records


@pytest.mark.parametrize("name", [field.name for field in fields(EvalConfig)])
def test_another_value_gives_other_records(folder: Path, name: str) -> None:
    if name in CHANGE_NOTHING:
        one, other = CHANGE_NOTHING[name]
        assert records(folder, **{name: one}) == records(folder, **{name: other})
        return
    assert _figures(records(folder, **{name: OTHER[name]})) != _figures(records(folder)), name


def _figures(made: list[Metric]) -> list[tuple[object, ...]]:
    """What was measured, without the settings that a record only repeats."""
    return [
        (r.metric, r.k, r.slice, r.model, r.compared_to, r.value, r.ci_low, r.difference_ci_low, r.users) for r in made
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"k": [0]}, "--k is 0, expected a number from 1 to 1000"),
        ({"k": []}, "--k is empty"),
        ({"seed": -1}, "--seed is -1, expected 0 or more"),
        ({"resamples": 99}, "--resamples is 99, expected 100 or more"),
        ({"threads": -1}, "--threads is -1, expected a number from 0 to 1024"),
        ({"split": "train"}, "--split is 'train', expected test or valid"),
        ({"baselines": "slow"}, "--baselines is 'slow', expected fast, all or none"),
        ({"metrics": ["auc"]}, "--metrics has 'auc', expected standard, all, recall"),
        ({"slice": ["age"]}, "--slice is 'age', expected history"),
    ],
)
def test_what_is_refused_names_option_value_and_choices(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        EvalConfig(**wrong)
