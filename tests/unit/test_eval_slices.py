"""Parts of users and targets: who is in which, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, InputError
from eimf_core.evaluation import eval_users, slices
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.io import jsonl
from eimf_core.records import Item, Label
from eimf_core.records import Sequence as Line
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    jsonl.write(
        tmp_path / "items.jsonl",
        [
            Item(item=f"i{at}", title="x", categories=["odd" if at % 2 else "even", *["three"][: at % 3 == 0]])
            for at in range(1, 11)
        ],
    )
    lines = [Line(user="a", split="train", items=["i1"] * 9 + ["i2"] * 4 + ["i3"] * 2 + ["i4"])]
    lines += [Line(user="b", split="train", items=["i1", "i2"])]
    lines += [
        Line(user="a", split="test", items=["i1", "i2"], targets=["i1", "i3"]),
        Line(user="b", split="test", items=["i1", "i2", "i3", "i4", "i5"], targets=["i6"]),
        Line(user="new", split="test", items=["i4"] * 12, targets=["i4", "i2"]),
    ]
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    return dataset.load(tmp_path, ("train", "test"))


def choose(data: Dataset, *wanted: str, seen: str = "keep", labels: Path | None = None) -> slices.Slices:
    return slices.choose(wanted, eval_users.select(data, "test", seen, []), data, seen=seen, labels=labels)


def members(made: slices.Slices) -> dict[str, list[int]]:
    return {name: np.flatnonzero(mask).tolist() for name, mask in made.users.items()}


def test_users_by_history(data: Dataset) -> None:
    assert members(choose(data, "history=3,6")) == {"history<3": [0], "history=3-5": [1], "history>=6": [2]}
    assert members(choose(data, "history=9")) == {"history<9": [0, 1], "history>=9": [2]}
    assert members(choose(data, "history")) == {"history<3": [0], "history=3-5": [1], "history>=6": [2]}


def test_cold_users_and_labelled_users(data: Dataset, tmp_path: Path) -> None:
    assert members(choose(data, "cold")) == {"cold=yes": [2], "cold=no": [0, 1]}

    def label(user: str, items: list[str], error: str | None = None) -> Label:
        return Label(
            key=dataset.sample_key(user, items), request="r", user=user, cluster=0, interests=[], items_by="model",
            engine="e", model="m", seed=0, attempts=1, seconds=0.0, error=error,
        )  # fmt: skip

    path = tmp_path / "labels.jsonl"
    jsonl.write(path, [label("b", ["i1", "i2"]), label("a", ["i1"])])
    assert members(choose(data, "labels", labels=path)) == {"labels=yes": [1], "labels=no": [0, 2]}
    jsonl.write(path, [label("b", ["i1", "i2"], error="no answer")])
    with pytest.raises(InputError, match="none of the labels"):
        choose(data, "labels", labels=path)
    with pytest.raises(ConfigError, match="--labels"):
        choose(data, "labels")


def test_targets_by_popularity(data: Dataset) -> None:
    made = choose(data, "popularity")
    # a fifth of ten items is two: i1 with 10 and i2 with 5 interactions
    assert made.sizes == {
        "popularity<5": {"items": 8, "targets": 3, "users": 3},
        "popularity>=5": {"items": 2, "targets": 2, "users": 2},
    }
    tail = made.targets[0].items
    assert tail is not None and np.flatnonzero(tail[1:]).tolist() == [2, 3, 4, 5, 6, 7, 8, 9]
    twice = choose(data, "popularity=13", "popularity=13")
    assert [part.name for part in twice.targets] == list(twice.sizes) == ["popularity<13", "popularity>=13"]


def test_targets_by_category_and_repetition(data: Dataset) -> None:
    sizes = choose(data, "category").sizes
    assert sizes["category=even"] == {"items": 5, "targets": 3, "users": 2}
    assert sizes["category=three"]["targets"] == 2
    assert list(choose(data, "category=odd").sizes) == ["category=odd"]
    assert choose(data, "repeat").sizes == {
        "repeat=yes": {"targets": 2, "users": 2},
        "repeat=no": {"targets": 3, "users": 3},
    }


def test_of_many_categories_the_ten_that_most_targets_are_of(tmp_path: Path) -> None:
    items = [Item(item=f"i{at}", title="x", categories=[f"c{at:02}"]) for at in range(12)]
    jsonl.write(tmp_path / "items.jsonl", items)
    asked = [item.item for at, item in enumerate(items) for _ in range(at + 1)]
    lines = [Line(user=f"u{at}", split="test", items=["i0"], targets=[item]) for at, item in enumerate(asked)]
    every = [Line(user="a", split="train", items=[item.item for item in items])]
    jsonl.write(tmp_path / "sequences.jsonl", every + lines)
    made = choose(dataset.load(tmp_path, ("train", "test")), "category")
    assert list(made.sizes) == [f"category=c{at:02}" for at in range(11, 1, -1)]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("category=blue", "category=blue: no item is in it"),
        ("history=short", "whole numbers"),
        ("popularity=0", "a bound is 1 or more"),
        ("cold=yes", "no value"),
        ("repeat", "--seen keep"),
    ],
)
def test_what_is_refused(data: Dataset, wanted: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose(data, wanted, seen="drop")
    with pytest.raises(ConfigError, match="--slice is 'age', expected history"):
        EvalConfig(slice=["age=3"])


def test_figures_of_slices_are_those_of_their_users_and_targets(tmp_path: Path) -> None:
    write_small_data(tmp_path)
    items = dataset.load_items(tmp_path / "items.jsonl")
    model = write_small_model(tmp_path / "model", items, taste_vectors(items))
    wanted = ["history=8", "category=tea", "repeat"]
    evaluation = evaluate(
        [model], tmp_path, EvalConfig(k=[5], slice=wanted, seen="keep", baselines="none", resamples=100)
    )
    figures = {(r.slice, r.metric): r for r in evaluation.records if r.compared_to is None}
    lengths = evaluation.users.history_lengths()
    recall = evaluation.results[0].values[:, 0]
    assert evaluation.plan.columns[0][:2] == ("recall", 5)
    assert figures["history<8", "recall"].value == pytest.approx(recall[lengths < 8].mean())
    assert (
        figures["history<8", "recall"].users == (lengths < 8).sum() == evaluation.facts["slices"]["history<8"]["users"]
    )
    # one target each: the slices of targets part the users
    tea = np.array([evaluation.dataset.items[item - 1].categories == ["tea"] for item in evaluation.users.targets])
    assert figures["category=tea", "recall"].value == pytest.approx(recall[tea].mean())
    assert figures["category=tea", "recall"].users == tea.sum()
    again = np.array(
        [evaluation.users.targets[case] in evaluation.users.history(case) for case in range(len(evaluation.users))]
    )
    assert figures["repeat=yes", "ndcg"].users == again.sum()
    assert figures["repeat=no", "recall"].value == pytest.approx(recall[~again].mean())
