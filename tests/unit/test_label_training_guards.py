"""Training with labels, whatever the backbone and the numbers of interests, and the guards against what goes wrong."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from eimf_core import dataset
from eimf_core.errors import ConfigError
from eimf_core.io import jsonl
from eimf_core.models import registry
from eimf_core.records import Label, Sequence
from eimf_core.training import train as training
from eimf_core.training import validation
from eimf_core.training.config import TrainConfig
from eimf_core.training.loop import TrainingSummary
from eimf_core.training.validation import ValidationFigures
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import small_run, small_settings
from tests.unit.test_label_training import LABELLED, labels_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small data, and labels of one or two interests a user, one of which is an error instead."""
    made = tmp_path_factory.mktemp("guards")
    found = labels_of(dataset.load(write_small_data(made), ("train",)))
    fields = {name: getattr(found[0], name) for name in Label.__struct_fields__}
    found[0] = Label(**{**fields, "interests": [], "error": "the answer was cut off"})
    jsonl.write(made / "labels.jsonl", found)
    return made


@pytest.mark.parametrize("name", registry.BACKBONES)
def test_labels_teach_every_backbone(name: str, folder: Path) -> None:
    """Three interests a user, or one where the backbone has no more, and labels with one or two."""
    run = small_run(folder, folder / "labels.jsonl", backbone=name, item_alignment_weight=0.3, epochs=1)
    assert run.loop.labels is not None and run.loop.labels.padded(run.loop.labels.users * 0).shape[1] < 3
    run.go()
    losses = run.state.lines[-1]["loss"]
    assert {"semantic", "alignment", "items"} <= set(losses)
    assert all(math.isfinite(value) for value in losses.values())
    assert losses["semantic"] > 0 and losses["alignment"] > 0


@pytest.mark.parametrize("interests", [1, 6])
def test_fewer_and_more_interests_than_labels_name(interests: int, folder: Path) -> None:
    run = small_run(folder, folder / "labels.jsonl", interests=interests, epochs=1)
    run.go()
    assert 0 < run.state.lines[-1]["loss"]["alignment"] < math.inf


def trained(folder: Path, target: Path, **changes: Any) -> tuple[TrainingSummary, list[dict[str, Any]], list[str]]:
    """The summary, the line of each epoch, and what was warned of."""
    said = Listening()
    labels = folder / "labels.jsonl"
    summary = training.train(folder, target, small_settings(**changes), labels=labels, reporter=said)
    return summary, [orjson.loads(line) for line in (target / "train.jsonl").read_bytes().splitlines()], said.warnings


def test_a_user_with_an_error_is_left_out_and_counted(folder: Path, tmp_path: Path) -> None:
    summary, _, warnings = trained(folder, tmp_path / "model")
    assert (summary.labelled, summary.left_out, summary.labelled_steps) == (LABELLED - 1, {"error": 1}, 1.0)
    assert any("the answer was cut off" in words for words in warnings)


def test_words_teach_items_where_item_vectors_do_not_know_them() -> None:
    assert TrainConfig(item_vectors="random").label_weights == (0.1, 0.03, 0.3)
    assert TrainConfig(item_vectors="text").label_weights == (0, 0.03, 0)
    asked = TrainConfig(semantic_weight=0.5, alignment_weight=0.0, item_alignment_weight=0.2)
    assert asked.label_weights == (0.5, 0, 0.2) and asked.uses_labels
    assert not TrainConfig(alignment_weight=0.0).uses_labels
    with pytest.raises(ConfigError, match="item_alignment_weight"):
        TrainConfig(item_alignment_weight=-1.0)


@pytest.mark.slow
def test_collapse_is_logged_each_epoch_and_warned_of(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lines, warnings = trained(folder, tmp_path / "model")
    assert all(0 < line["collapse"] < 1 for line in lines)
    assert not any("nearly all the same" in words for words in warnings)
    monkeypatch.setattr(validation.Validation, "measure", lambda *ignored: ValidationFigures(0.1, 0.97))
    _, lines, warnings = trained(folder, tmp_path / "model")
    assert [line["collapse"] for line in lines] == [0.97, 0.97]
    assert any("nearly all the same" in words for words in warnings)


@pytest.mark.slow
def test_collapse_is_logged_without_a_validation_split(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "data"
    shutil.copytree(folder, bare)
    lines_of = [line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split == "train"]
    jsonl.write(bare / "sequences.jsonl", lines_of)
    _, lines, warnings = trained(bare, tmp_path / "model")
    assert all("valid" not in line and 0 < line["collapse"] < 1 for line in lines)
    assert not any("nearly all the same" in words for words in warnings)
    asked: list[int] = []

    def alike(interests: np.ndarray) -> np.ndarray:
        asked.append(len(interests))
        return np.ones(len(interests))

    monkeypatch.setattr(validation, "mean_pairwise_cosine", alike)
    _, lines, warnings = trained(bare, tmp_path / "model")
    assert [line["collapse"] for line in lines] == [1.0, 1.0]
    assert any("nearly all the same" in words for words in warnings)
    assert sum(asked) == 2 * sum(len(line.items) > 0 for line in lines_of)


@pytest.mark.slow
def test_a_part_with_a_larger_gradient_norm_than_the_prediction_is_named(folder: Path, tmp_path: Path) -> None:
    quiet = {"semantic_weight": 0.0}
    _, lines, warnings = trained(folder, tmp_path / "model", alignment_weight=100.0, **quiet)
    assert lines[-1]["gradients"]["alignment"] > lines[-1]["gradients"]["prediction"] > 0
    (words,) = (words for words in warnings if "gradient norm" in words)
    assert "the loss 'alignment'" in words
    _, lines, warnings = trained(folder, tmp_path / "model", alignment_weight=0.01, **quiet)
    assert 0 < lines[-1]["gradients"]["alignment"] < lines[-1]["gradients"]["prediction"]
    assert not any("gradient norm" in words for words in warnings)


@pytest.mark.slow
def test_every_epoch_looks_at_a_step_that_sees_labels(folder: Path, tmp_path: Path) -> None:
    """However few steps see them: an epoch here has fewer steps than lie between two looks."""
    for backbone in ("comirec-sa", "remi"):
        changes = {"labelled_steps": 0.3, "epochs": 6, "backbone": backbone, "batch_size": 16}
        _, lines, _ = trained(folder, tmp_path / "model", **changes)
        assert all({"semantic", "alignment"} <= set(line["loss"]) for line in lines)
        assert [set(line["gradients"]) for line in lines] == [set(line["loss"]) for line in lines]


@pytest.mark.slow
def test_labels_that_nothing_is_learned_from_are_told(folder: Path, tmp_path: Path) -> None:
    changes = {"semantic_weight": 0.0, "alignment_weight": 0.0, "item_alignment_weight": 0.0}
    summary, _, warnings = trained(folder, tmp_path / "model", **changes)
    assert summary.labelled_steps == 0.0 and any("no step learns from the labels" in words for words in warnings)
    _, _, warnings = trained(folder, tmp_path / "model", **{**changes, "alignment_weight": 0.1})
    assert not any("no step learns" in words for words in warnings)


@pytest.mark.slow
def test_test_lines_change_no_bit_with_labels_either(folder: Path, tmp_path: Path) -> None:
    """Not by propagated labels, nor by the start from words, nor by items that stand near each other."""
    shutil.copytree(folder, tmp_path / "data", ignore=shutil.ignore_patterns("model*", ".*"))
    changes = {"label_init": True, "propagation_min_item_cosine": 0.2, "item_alignment_weight": 0.3, "epochs": 1}
    lines = list(jsonl.read(folder / "sequences.jsonl", Sequence))
    made = []
    for number, history in enumerate((None, ["fish-1", "tea-1"])):
        if history is not None:
            others = [
                Sequence(user=line.user, split="test", items=history, targets=["tea-2"])
                if line.split == "test"
                else line
                for line in lines
            ]
            jsonl.write(tmp_path / "data" / "sequences.jsonl", others)
        trained(tmp_path / "data", tmp_path / f"model-{number}", **changes)
        made.append((tmp_path / f"model-{number}" / "weights.safetensors").read_bytes())
    assert made[0] == made[1]


def test_a_user_is_never_aligned_alone(folder: Path, tmp_path: Path) -> None:
    """However small the share of a batch: without another user there is nothing to tell the words from."""
    _, lines, warnings = trained(folder, tmp_path / "model", labelled_share=0.01, semantic_weight=0.0)
    assert all(line["loss"]["alignment"] > 0.0 for line in lines)
    assert not any("alignment loss stays 0" in words for words in warnings)


def test_labels_of_one_user_alone_are_warned_of(folder: Path, tmp_path: Path) -> None:
    data = shutil.copytree(folder, tmp_path / "data", ignore=shutil.ignore_patterns("model*"))
    found = [label for label in jsonl.read(folder / "labels.jsonl", Label) if label.cluster == 1][:1]
    jsonl.write(data / "labels.jsonl", found)
    _, _, warnings = trained(data, tmp_path / "model", epochs=1)
    assert any("alignment loss stays 0" in warning and "one user" in warning for warning in warnings)


def test_gradient_norms_are_those_of_an_average_step(folder: Path, tmp_path: Path) -> None:
    """Half of the steps see labels, which count twice there: no larger a norm than with all of them."""
    quiet = {"semantic_weight": 0.0, "epochs": 1, "learning_rate": 1e-9}
    every, half = (
        trained(folder, tmp_path / "model", labelled_steps=share, **quiet)[1][0]["gradients"] for share in (1.0, 0.5)
    )
    shares = [norms["alignment"] / norms["prediction"] for norms in (every, half)]
    assert 0.5 < shares[1] / shares[0] < 2.0 and shares[1] / shares[0] != pytest.approx(2.0, abs=0.2)
