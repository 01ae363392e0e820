"""Labels in training: matched by key, counted when left out, drawn with histories and targets of their users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from msgspec.structs import replace

from eimf_core import dataset
from eimf_core.dataset import Dataset, sample_key
from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.progress import SILENT
from eimf_core.records import Label, SemanticInterest
from eimf_core.text.encoder_input import interest_text
from eimf_core.training import labels
from eimf_core.training.label_batches import draw
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import small_run


def key_of(data: Dataset, user: int) -> str:
    train = data.splits["train"]
    return sample_key(train.users[user], [data.vocab.ids[index - 1] for index in train.history(user)])


def label(key: str, user: str, *names: str, **more: Any) -> Label:
    return Label(
        key=key,
        request=key,
        user=user,
        cluster=0,
        interests=[SemanticInterest(name=name, description=f"About {name}.") for name in names],
        items_by="model",
        engine="server",
        model="m",
        seed=0,
        attempts=1,
        seconds=0.0,
        **more,
    )


def encode(texts: list[str]) -> npt.NDArray[np.float32]:
    return np.array([[len(text), text.count("e")] for text in texts], dtype=np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    (tmp_path / "data").mkdir()
    return dataset.load(write_small_data(tmp_path / "data"), ("train",))


def test_labels_match_by_key_and_the_others_are_counted_and_named(data: Dataset, tmp_path: Path) -> None:
    path, listening = tmp_path / "labels.jsonl", Listening()
    jsonl.write(
        path,
        [
            label(key_of(data, 7), "user-7", "tea", "yarn"),
            label(key_of(data, 3), "user-3", "yarn", "fish", "yarn"),
            label(key_of(data, 3), "user-3", "repeated"),
            label("0" * 16, "stranger", "tea"),
            label(key_of(data, 5), "user-5", "tea", error="no answer"),
            label(key_of(data, 6), "user-6"),
            replace(label(key_of(data, 8), "user-8"), interests=[SemanticInterest(name=" ", description="")]),
        ],
    )
    found = labels.load(path, data, encode, listening)
    assert found.users.tolist() == [3, 7]
    texts = ["tea: About tea.", "yarn: About yarn.", "fish: About fish."]
    assert [interest_text(interest) for interest in found.interests] == texts
    np.testing.assert_array_equal(found.vectors, encode(texts))
    # user 3 showed yarn twice: one interest
    assert found.offsets.tolist() == [0, 2, 4] and found.texts.tolist() == [1, 2, 0, 1]
    assert found.left_out == {"error": 1, "no match": 1, "empty": 2, "repeated": 1}
    assert "1 label left out: not the training history of this data (of stranger)" in listening.warnings
    assert "2 labels left out: without an interest" in listening.warnings and len(listening.warnings) == 4
    assert any("(of user-5: no answer)" in line for line in listening.warnings)
    np.testing.assert_array_equal(found.padded(np.array([1, 0])), [[0, 1], [1, 2]])


def test_labels_without_a_key_belong_to_their_users(data: Dataset, tmp_path: Path) -> None:
    mine = [Label(user=user, interests=[SemanticInterest(name="tea")]) for user in ("user-4", "stranger")]
    jsonl.write(tmp_path / "labels.jsonl", mine)
    found = labels.load(tmp_path / "labels.jsonl", data, encode, SILENT)
    assert found.users.tolist() == [4] and found.left_out == {"no match": 1}


def test_items_that_the_catalogue_lacks_are_told(data: Dataset, tmp_path: Path) -> None:
    path, listening = tmp_path / "labels.jsonl", Listening()
    (known, *_), names = data.vocab.ids, ("S1", "S2")
    shown = [SemanticInterest(name="tea", items=[known, *names]), SemanticInterest(name="yarn", items=["S1"])]
    jsonl.write(path, [Label(user="user-4", interests=shown)])
    found = labels.load(path, data, encode, listening)
    assert listening.warnings == [
        f"{path}: 2 items of labels not in the catalogue (the first: S1 of user-4); the names count, those items do not"
    ]
    assert len(found.interests) == 2


def test_errors_are_told_for_some_users_and_in_short(data: Dataset, tmp_path: Path) -> None:
    path, listening = tmp_path / "labels.jsonl", Listening()
    wrong = [label(key_of(data, user), f"user-{user}", error="crash " + "!" * 500) for user in range(5)]
    jsonl.write(path, [label(key_of(data, 7), "user-7", "tea"), *wrong])
    labels.load(path, data, encode, listening)
    (said,) = listening.warnings
    assert said.startswith("5 labels left out") and said.count("crash") == 3 and said.endswith("…)") and len(said) < 450


def test_padded_texts(data: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    jsonl.write(path, [label(key_of(data, user), "u", *"abc"[: user + 1]) for user in range(3)])
    found = labels.load(path, data, encode, SILENT)
    np.testing.assert_array_equal(found.padded(np.array([2, 0])), [[0, 1, 2], [0, -1, -1]])


@pytest.mark.parametrize(
    ("lines", "words"),
    [([label("0" * 16, "u", "tea")], "none of the labels"), ([label("0" * 16, "u", "tea", error="x")], "label again")],
)
def test_no_label_of_use_is_bad_data(data: Dataset, tmp_path: Path, lines: list[Label], words: str) -> None:
    jsonl.write(tmp_path / "labels.jsonl", lines)
    with pytest.raises(InputError, match=words):
        labels.load(tmp_path / "labels.jsonl", data, encode, SILENT)


def test_a_user_whose_history_has_changed_is_no_match(data: Dataset, tmp_path: Path) -> None:
    train = data.splits["train"]
    history = [data.vocab.ids[index - 1] for index in train.history(0)]
    jsonl.write(
        tmp_path / "labels.jsonl",
        [label(sample_key(train.users[0], history[:-1]), "user-0", "tea"), label(key_of(data, 1), "user-1", "tea")],
    )
    assert labels.load(tmp_path / "labels.jsonl", data, encode, SILENT).users.tolist() == [1]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and labels.jsonl for eight of its users."""
    folder = tmp_path_factory.mktemp("labelled")
    data = dataset.load(write_small_data(folder), ("train",))
    names = (("tea", "yarn"), ("fish",), ("tea", "fish", "yarn"))
    lines = [label(key_of(data, user), f"user-{user}", *names[user % 3]) for user in range(8)]
    jsonl.write(folder / "labels.jsonl", lines)
    return folder


def test_labelled_users_of_a_step(labelled: Path) -> None:
    run = small_run(labelled, labels=labelled / "labels.jsonl", labelled_share=0.2)
    train = run.data.splits["train"]
    seen = set()
    for seed in range(60):
        drawn = draw(run.loop.labels, run.data.splits["train"], run.loop.settings, np.random.default_rng(seed))
        assert drawn is not None and len(drawn.histories) == round(0.2 * 32)
        owners = []
        for history, target in zip(drawn.histories, drawn.targets, strict=True):
            kept = history[history > 0]
            owner = next(user for user in range(8) if np.array_equal(train.history(user)[-6:], kept))
            # any item of the whole history but its first
            assert target in train.history(owner)[1:]
            owners.append(owner)
        assert len(set(owners)) == len(owners)
        seen |= set(owners)
    assert seen == set(range(8))


def test_joint_training_has_all_three_losses_and_moves_the_adapter(labelled: Path) -> None:
    run = small_run(labelled, labels=labelled / "labels.jsonl", labelled_share=0.2)
    before = {name: value.clone() for name, value in run.learner.weights().items()}
    run.go()
    assert set(run.state.lines[-1]["loss"]) == {"prediction", "semantic", "alignment"}
    after = run.learner.weights()
    assert all(not torch_equal(before[name], after[name]) for name in ("adapter.weight", "adapter.bias"))


def torch_equal(one: Any, other: Any) -> bool:
    return np.array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ({"semantic_weight": 0.0}, {"prediction", "alignment"}),
        ({"alignment_weight": 0.0}, {"prediction", "semantic"}),
        ({"semantic_weight": 0.0, "alignment_weight": 0.0}, {"prediction"}),
    ],
)
def test_each_part_has_its_switch(labelled: Path, weights: dict[str, float], parts: set[str]) -> None:
    run = small_run(labelled, labels=labelled / "labels.jsonl", epochs=1, **weights)
    run.go()
    assert set(run.state.lines[-1]["loss"]) == parts


def test_an_interest_without_words_is_left_out_and_the_others_count(data: Dataset, tmp_path: Path) -> None:
    nameless = SemanticInterest(name=" ", description="")
    told = label(key_of(data, 1), "user-1", "tea")
    jsonl.write(tmp_path / "labels.jsonl", [replace(told, interests=[nameless, *told.interests])])
    found = labels.load(tmp_path / "labels.jsonl", data, encode, SILENT)
    assert [interest.name for interest in found.interests] == ["tea"] and found.left_out == {}


def test_a_cluster_number_that_no_array_holds_is_bad_data(data: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    jsonl.write(path, [label(key_of(data, 1), "user-1", "tea")])
    path.write_bytes(path.read_bytes().replace(b'"cluster":0', b'"cluster":9223372036854775808'))
    with pytest.raises(InputError, match=r"labels\.jsonl:1: field 'cluster'"):
        labels.load(path, data, encode, SILENT)
