"""The explicit half around its losses: what labels say of items, propagation, the draw, what is exported."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eimf_core import dataset
from eimf_core.dataset import Dataset, sample_key
from eimf_core.errors import ConfigError
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.progress import SILENT
from eimf_core.records import Label, SemanticInterest
from eimf_core.training import export, label_propagation, labels
from eimf_core.training import train as training
from eimf_core.training.config import TrainConfig
from eimf_core.training.label_batches import draw
from tests.small_data import write_small_data
from tests.small_training import Run, go_in_parts, small_run, small_settings

LABELLED = 8


def labels_of(data: Dataset) -> list[Label]:
    """The first users' interests: their tastes, with the items that show them, one of them a stranger's."""
    train = data.splits["train"]
    made = []
    for user in range(LABELLED):
        history = [data.vocab.ids[index - 1] for index in train.history(user)]
        tastes = sorted({item.partition("-")[0] for item in history})
        interests = [
            SemanticInterest(
                name=taste, description="", items=[*(item for item in history if item.startswith(taste)), "nowhere"]
            )
            for taste in tastes
        ]
        key = sample_key(train.users[user], history)
        made.append(
            Label(
                key=key, request=key, user=train.users[user], cluster=user % 2, interests=interests, items_by="model",
                engine="server", model="m", seed=0, attempts=1, seconds=0.0,
            )
        )  # fmt: skip
    return made


def encode(texts: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array([[text.startswith(taste) for taste in ("tea", "yarn", "fish")] for text in texts], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("labels")
    data = dataset.load(write_small_data(made), ("train",))
    jsonl.write(made / "labels.jsonl", labels_of(data))
    return made


@pytest.fixture(scope="module")
def data(folder: Path) -> Dataset:
    return dataset.load(folder, ("train",))


@pytest.fixture(scope="module")
def found(folder: Path, data: Dataset) -> labels.Labels:
    return labels.load(folder / "labels.jsonl", data, encode, SILENT)


def joint(folder: Path, **changes: object) -> Run:
    return small_run(folder, labels=folder / "labels.jsonl", **changes)


def test_shown_items_are_those_of_the_training_history_alone(folder: Path, data: Dataset) -> None:
    """A label that names an item its user has not had while training, the test item say, is not believed."""
    train = data.splits["train"]
    told = labels_of(data)[0]
    had = {int(index) for index in train.history(0)}
    later = next(item.item for index, item in enumerate(data.items, start=1) if index not in had)
    told.interests[0].items.append(later)
    jsonl.write(folder / "leaking.jsonl", [told])
    loaded = labels.load(folder / "leaking.jsonl", data, encode, SILENT)
    assert set(loaded.text_items[1].tolist()) == had
    for text, item in loaded.text_items.T.tolist():
        assert data.vocab.ids[item - 1].startswith(loaded.interests[text].name)


def text_of_items(data: Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.concatenate([np.zeros((1, 3), np.float32), encode([item.item for item in data.items])])


def test_labels_are_propagated_from_the_nearest_of_the_nearest_cluster(data: Dataset, found: labels.Labels) -> None:
    train, text = data.splits["train"], text_of_items(data)
    propagated = label_propagation.find(found, train, text, 0.9)
    means = np.stack([text[train.history(user)].mean(axis=0) for user in range(len(train))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    centres = np.stack([means[found.users[found.clusters == number]].mean(axis=0) for number in (0, 1)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    wanted = {}
    for user in range(LABELLED, len(train)):
        members = np.flatnonzero(found.clusters == np.argmax(centres @ means[user]))
        cosines = means[found.users[members]] @ means[user]
        if cosines.max() >= 0.9:
            wanted[user] = (members, cosines)
    assert propagated.users.tolist() == sorted(wanted) and 0 < len(propagated) < len(train) - LABELLED
    for user, source in zip(propagated.users.tolist(), propagated.source.tolist(), strict=True):
        members, cosines = wanted[user]
        assert cosines[members.tolist().index(source)] == pytest.approx(cosines.max(), abs=1e-6)
    assert len(label_propagation.find(found, train, text, 1.0)) < len(label_propagation.find(found, train, text, -1.0))
    assert len(label_propagation.find(found, train, np.zeros_like(text), -1.0)) == 0


def test_a_draw_with_shown_items(data: Dataset, found: labels.Labels) -> None:
    train = data.splits["train"]
    settings = TrainConfig(
        batch_size=32, labelled_share=0.2, item_alignment_weight=1.0, item_alignment_share=0.5, max_length=6
    )
    drawn = draw(found, train, settings, np.random.default_rng(0))
    assert drawn is not None and len(drawn.histories) == 6 and drawn.text_items.shape == (2, 16)
    pairs = set(map(tuple, found.text_items.T.tolist()))
    assert all(tuple(pair) in pairs for pair in drawn.text_items.T.tolist())


@pytest.mark.parametrize("loss", ["sampled", "full"])
def test_every_part_trains_and_is_counted(folder: Path, loss: str) -> None:
    run = joint(folder, item_alignment_weight=0.5, loss=loss, epochs=1)
    run.go()
    line = run.state.lines[-1]
    assert set(line["loss"]) == {"prediction", "semantic", "alignment", "items"}
    assert set(line["gradients"]) == set(line["loss"]) and line["gradients"]["items"] > 0
    assert run.loop.summary(run.state).labelled_steps == 1.0


@pytest.mark.slow
def test_a_run_with_labels_cut_anywhere_goes_on_bit_by_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"item_alignment_weight": 0.3, "labelled_steps": 0.5}
    data = shutil.copytree(folder, tmp_path / "data")
    wanted = small_run(data, data / "labels.jsonl", **changes).go()
    found = go_in_parts(monkeypatch, data, data / "labels.jsonl", **changes)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_steps_that_see_labels_are_a_share_and_count_the_more(folder: Path) -> None:
    always = joint(folder, item_alignment_weight=1.0)
    seldom = joint(folder, item_alignment_weight=1.0, labelled_steps=0.25)
    plan = always.loop.batches.epoch(np.random.default_rng(0))
    drawn = always.loop.step.draw(plan.batch(0), np.random.default_rng(1))
    assert drawn.labelled is not None
    found = []
    for run in (always, seldom):
        run.learner.generator.manual_seed(0)
        found.append(run.loop.step.losses(plan.batch(0), drawn)[2])
    for name, value in found[0].items():
        assert float(found[1][name]) == pytest.approx(float(value) * (1 if name == "prediction" else 4), rel=1e-5)
    rng = np.random.default_rng(0)
    seen = [seldom.loop.step.labelled.draw(rng) is not None for _ in range(400)]
    assert 0.2 < np.mean(seen) < 0.3
    seldom.go()
    assert 0.0 < seldom.loop.summary(seldom.state).labelled_steps < 0.6


@pytest.mark.slow
def test_items_that_share_words_come_together(folder: Path) -> None:
    """From ids alone, items of one taste are nearer to each other than to others only by the labels."""

    def apart(run: Run) -> float:
        run.go()
        vectors = torch.nn.functional.normalize(run.learner.table.all()[1:], dim=1)
        tastes = [item.categories[0] for item in run.data.items]
        same = torch.tensor([[one == other for other in tastes] for one in tastes])
        cosines = vectors @ vectors.T
        return float(cosines[same].mean() - cosines[~same].mean())

    only = {"semantic_weight": 0.0, "alignment_weight": 0.0, "epochs": 4}
    aligned, without = (apart(joint(folder, item_alignment_weight=weight, **only)) for weight in (2.0, 0.0))
    assert aligned > without + 0.1


def test_inference_is_that_of_the_backbone_alone(folder: Path) -> None:
    """With the same weights a model trained with labels answers alike, from the same exported network."""
    with_labels, alone = joint(folder, item_alignment_weight=0.5), small_run(folder)
    with_labels.go()
    shared = {name: value for name, value in with_labels.learner.weights().items() if not name.startswith("adapter")}
    assert set(shared) == set(alone.learner.weights())
    alone.learner.load_weights(shared)
    assert export.network(alone.learner.backbone) == export.network(with_labels.learner.backbone)
    vectors, mask = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(0)), torch.ones(4, 5, dtype=torch.bool)
    one, other = (run.learner.backbone.eval()(vectors, mask)[0] for run in (with_labels, alone))
    assert torch.equal(one, other)


@pytest.mark.slow
def test_inference_takes_the_time_of_the_backbone_alone(folder: Path, tmp_path: Path) -> None:
    """The fastest of many answers to the same histories, in turn: what else the machine does is left out."""
    models = []
    for name, given in (("labels", folder / "labels.jsonl"), ("alone", None)):
        training.train(folder, tmp_path / name, small_settings(epochs=1), labels=given)
        models.append(artifact.open_model(tmp_path / name))
    histories = [np.arange(1, 13)] * 2000
    seconds: list[list[float]] = [[], []]
    for _ in range(40):
        for model, spent in zip(models, seconds, strict=True):
            start = time.process_time()
            model.interests(histories)
            spent.append(time.process_time() - start)
    with_labels, alone = (min(spent) for spent in seconds)
    assert 0.75 < with_labels / alone < 1.33


def test_settings_that_make_no_sense() -> None:
    for wrong in (
        {"item_alignment_weight": -1.0},
        {"propagation_min_user_cosine": 2.0},
        {"labelled_steps": 0.0},
        {"labelled_share": 0.0},
        {"item_alignment_share": 0.0},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            TrainConfig(**wrong)  # type: ignore[arg-type]
