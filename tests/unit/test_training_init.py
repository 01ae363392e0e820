"""`train --init`: a run that starts from an earlier model, with items that came and went since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from eimf_core import dataset
from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import files, jsonl
from eimf_core.model_directory import artifact
from eimf_core.progress import SILENT
from eimf_core.records import Item, Sequence
from eimf_core.text.cache import encode_items
from eimf_core.text.loading import open_encoder
from eimf_core.training import item_embeddings
from eimf_core.training import train as training
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import CutError, cut_after, small_run
from tests.small_training import small_settings as settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data")


def tomorrow(folder: Path) -> Path:
    """The data a day later: the items in another order, fish-7 gone, two tea items, one yarn item and one
    without any text new."""
    later = folder.with_name("later")
    later.mkdir()
    lines = [
        Sequence(
            user=line.user, split=line.split, items=[item for item in line.items if item != "fish-7"],
            targets=[item for item in line.targets if item != "fish-7"],
        )
        for line in jsonl.read(folder / "sequences.jsonl", Sequence)
    ]  # fmt: skip
    known = [item for item in jsonl.read(folder / "items.jsonl", Item) if item.item != "fish-7"]
    new = [
        Item(item="new-tea", title="Green Tea Pot", categories=["tea"]),
        Item(item="new-yarn", title="Wool Yarn Bowl", categories=["yarn"]),
        Item(item="new-again", title="Green Tea Pot", categories=["tea"]),
        Item(item="new-blank", title=""),
    ]
    jsonl.write(later / "items.jsonl", [*new, *reversed(known)])
    jsonl.write(later / "sequences.jsonl", lines)
    (later / "sequences.jsonl.meta.json").write_bytes((folder / "sequences.jsonl.meta.json").read_bytes())
    return later


def nearest(vectors: np.ndarray[Any, Any], ids: list[str], item: str) -> list[str]:
    """The taste of the five items nearest to an item."""
    at = ids.index(item) + 1
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    order = np.argsort(-(unit @ unit[at]))
    return [ids[row - 1].split("-")[0] for row in order if row not in (0, at)][:5]


@pytest.mark.parametrize("kind", ["text", "random"])
def test_known_items_keep_their_vectors_and_new_ones_get_a_place(folder: Path, kind: str) -> None:
    training.train(folder, folder.with_name("model"), settings(item_vectors=kind, epochs=4))
    model = artifact.open_model(folder.with_name("model"))
    run = small_run(tomorrow(folder), init=folder.with_name("model"), item_vectors=kind)
    vectors, ids = run.learner.table.all().numpy(), run.data.vocab.ids
    for index, item in enumerate(model.catalogue, start=1):
        if at := run.data.vocab.get(item.item):
            np.testing.assert_allclose(vectors[at], model.vectors[index], atol=1e-5, err_msg=item.item)
    assert not vectors[0].any()
    for name, value in run.learner.backbone.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), model.members[0].network[name])
    if kind == "random":
        assert vectors[1:5].std() == pytest.approx(item_embeddings.DEVIATION, rel=0.5)
    else:
        assert model.text_map is not None
        # of two new items with one text: both where it says, and yet apart
        pair = [vectors[ids.index(item) + 1] for item in ("new-tea", "new-again")]
        assert 0.0 < np.abs(pair[0] - pair[1]).max() < 0.05
        assert nearest(vectors, ids, "new-tea").count("tea") + nearest(vectors, ids, "new-tea").count("new") >= 4
        assert nearest(vectors, ids, "new-yarn").count("yarn") >= 3
        assert 0.02 < vectors[4].std() < 0.3  # drawn, since it has no text


@pytest.mark.slow
def test_text_places_new_items_after_a_model_from_ids_alone(folder: Path) -> None:
    training.train(folder, folder.with_name("model"), settings(epochs=12, dimension=16))
    assert artifact.open_model(folder.with_name("model")).text_map is None
    run = small_run(tomorrow(folder), init=folder.with_name("model"), item_vectors="text", dimension=16)
    vectors, ids = run.learner.table.all().numpy(), run.data.vocab.ids
    near = nearest(vectors, ids, "new-yarn")
    assert near.count("yarn") >= 3, near


@pytest.mark.slow
def test_what_was_taken_over_is_said_and_recorded(folder: Path, tmp_path: Path) -> None:
    training.train(folder, tmp_path / "model", settings(item_vectors="text"))
    sha256, remarks = files.sha256(tmp_path / "model" / "manifest.json"), Listening()
    # the earlier model may be replaced by the new one
    training.train(
        tomorrow(folder), tmp_path / "model", settings(item_vectors="text"), init=tmp_path / "model", reporter=remarks
    )
    assert any("23 items kept, 3 new ones placed by their text, 1 at random, 1 gone" in note for note in remarks.notes)
    manifest = orjson.loads((tmp_path / "model" / "manifest.json").read_bytes())
    start = manifest["facts"]["init"]
    assert (start["kept"], start["placed"], start["drawn"], start["gone"], start["afresh"]) == (23, 3, 1, 1, 0)
    assert start["manifest_sha256"] == sha256 == manifest["inputs"][str(tmp_path / "model" / "manifest.json")]


@pytest.mark.slow
def test_a_run_goes_on_better_than_from_nothing(folder: Path, tmp_path: Path) -> None:
    training.train(folder, tmp_path / "model", settings(epochs=12, dropout=0.0))
    losses = {}
    for name, init in (("cold", None), ("warm", tmp_path / "model")):
        run = small_run(folder, init=init, epochs=1, dropout=0.0, seed=3)
        run.go()
        losses[name] = run.state.lines[0]["loss"]["prediction"]
    assert losses["warm"] < losses["cold"] - 0.1


@pytest.mark.parametrize("backbone", ["mind", "mfn", "sasrec", "gru4rec"])
def test_networks_of_every_kind_are_taken_over(folder: Path, tmp_path: Path, backbone: str) -> None:
    training.train(folder, tmp_path / "model", settings(backbone=backbone, epochs=1))
    model = artifact.open_model(tmp_path / "model")
    run = small_run(folder, init=tmp_path / "model", backbone=backbone, seed=5)
    for name, value in run.learner.backbone.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), model.members[0].network[name], err_msg=name)


def test_categories_are_found_by_their_name(folder: Path, tmp_path: Path) -> None:
    training.train(folder, tmp_path / "model", settings(backbone="mfn"))
    before = artifact.open_model(tmp_path / "model").members[0].network["encoder.features"]
    lines = list(jsonl.read(folder / "items.jsonl", Item))
    # "more" is now the most frequent, and fish more frequent than tea and yarn
    extra = [Item(item=f"fish-{at}", title="Fish", categories=["fish"]) for at in range(8, 20)]
    jsonl.write(
        folder / "items.jsonl",
        [Item(item=item.item, title=item.title, categories=["more", *item.categories]) for item in [*lines, *extra]],
    )
    run = small_run(folder, init=tmp_path / "model", backbone="mfn")
    now = run.learner.backbone.state_dict()["encoder.features"].numpy()
    assert len(now) == len(before) + 1 and not now[1].any()
    # by name among equals before: fish, tea, yarn; now more, fish, tea, yarn
    np.testing.assert_array_equal(now[2:], before[1:])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dimension": 16}, "--dimension 8"),
        ({"backbone": "sasrec"}, "--backbone comirec-sa"),
        ({"interests": 2}, "--interests 3"),
    ],
)
def test_settings_that_do_not_fit_are_told(folder: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    training.train(folder, tmp_path / "model", settings(epochs=1))
    with pytest.raises(ConfigError, match=words) as caught:
        training.train(folder, tmp_path / "next", settings(**changes), init=tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "next").exists()


@pytest.mark.slow
def test_what_has_another_shape_starts_afresh_and_is_named(folder: Path, tmp_path: Path) -> None:
    training.train(folder, tmp_path / "model", settings(backbone="sasrec", epochs=1))
    remarks = Listening()
    training.train(
        folder, tmp_path / "next", settings(backbone="sasrec", hyperparameters={"layers": 3}, max_length=5, epochs=1),
        init=tmp_path / "model", reporter=remarks,
    )  # fmt: skip
    assert any("encoder.positions" in warning for warning in remarks.warnings)
    start = orjson.loads((tmp_path / "next" / "manifest.json").read_bytes())["facts"]["init"]
    assert start["afresh"] == 13  # positions, and the twelve parameters of a block


def test_no_model_and_a_broken_one(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        training.train(folder, tmp_path / "next", settings(), init=tmp_path / "nowhere")
    training.train(folder, tmp_path / "model", settings(epochs=1))
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="of the manifest"):
        training.train(folder, tmp_path / "next", settings(), init=tmp_path / "model")


@pytest.mark.slow
def test_the_epochs_of_one_model_and_the_weights_of_another(folder: Path, tmp_path: Path) -> None:
    earlier = training.train(folder, tmp_path / "model", settings(epochs=3))
    summary = training.train(
        folder, tmp_path / "next", settings(epochs=9), init=tmp_path / "model", epochs_from=tmp_path / "model"
    )
    assert summary.epochs == earlier.best_epoch


@pytest.mark.slow
def test_another_start_is_another_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a run from one model is not gone on from by a run from another."""
    from eimf_core.training import run_state

    monkeypatch.setattr(run_state, "CHECKPOINT_SECONDS", 0.0)
    for seed in (0, 1):
        training.train(folder, tmp_path / f"model-{seed}", settings(seed=seed, epochs=1))
    training.train(folder, tmp_path / "whole", settings(), init=tmp_path / "model-0")
    with monkeypatch.context() as patched, pytest.raises(CutError):
        cut_after(patched, 5)
        training.train(folder, tmp_path / "next", settings(), init=tmp_path / "model-0")
    copy = tmp_path / ".other.checkpoint"
    copy.mkdir()
    for path in (tmp_path / ".next.checkpoint").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    remarks = {name: Listening() for name in ("next", "other")}
    for name, seed in (("next", 0), ("other", 1)):
        training.train(folder, tmp_path / name, settings(), init=tmp_path / f"model-{seed}", reporter=remarks[name])
    assert any("resuming" in note for note in remarks["next"].notes)
    assert not any("resuming" in note for note in remarks["other"].notes)
    part = "weights.safetensors"
    assert (tmp_path / "next" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes()


def test_labels_take_the_adapter_over(folder: Path, tmp_path: Path) -> None:
    from tests.unit.test_training_labels import key_of, label

    data = dataset.load(folder, ("train",))
    labels = folder / "labels.jsonl"
    jsonl.write(labels, [label(key_of(data, user), f"user-{user}", "tea", "yarn") for user in range(8)])
    changes = {"item_vectors": "text"}
    training.train(folder, tmp_path / "model", settings(epochs=1, **changes), labels=labels)
    model = artifact.open_model(tmp_path / "model")
    run = small_run(folder, labels, init=tmp_path / "model", seed=4, **changes)
    assert model.adapter is not None and run.learner.adapter is not None
    assert torch.equal(run.learner.adapter.weight, torch.from_numpy(model.adapter[0].copy()))


@pytest.mark.slow
@pytest.mark.parametrize("start", [True, False])
def test_words_meet_the_items_of_an_earlier_model_without_labels(folder: Path, tmp_path: Path, start: bool) -> None:
    """They start where the model's items with such titles are, not where text alone would put them today."""
    from tests.unit.test_label_training import labels_of

    training.train(folder, tmp_path / "model", settings(item_vectors="text", epochs=4))
    later = tomorrow(folder)
    data = dataset.load(later, ("train",))
    jsonl.write(later / "labels.jsonl", labels_of(data))
    run = small_run(later, later / "labels.jsonl", init=tmp_path / "model", item_vectors="text", label_init=start)
    adapter = run.learner.adapter
    assert adapter is not None
    text = encode_items(later, data.items, open_encoder(None), SILENT)
    with torch.no_grad():
        words = adapter(torch.from_numpy(np.asarray(text, dtype=np.float32)))
    titled = np.flatnonzero(np.asarray(text).any(axis=1))
    cosines = torch.cosine_similarity(words, run.learner.table.all())[titled]
    assert (float(cosines.mean()) > 0.9) == start


def test_items_of_an_earlier_model_do_not_start_from_words(folder: Path, tmp_path: Path) -> None:
    """Nor does the adapter, whose words would start in another space than the items."""
    from tests.unit.test_label_training import labels_of

    labels = folder / "labels.jsonl"
    jsonl.write(labels, labels_of(dataset.load(folder, ("train",))))
    training.train(folder, tmp_path / "model", settings(epochs=1))
    said = Listening()
    changes: dict[str, Any] = {"label_init": True, "epochs": 1, "seed": 4}
    run, plain = (
        small_run(folder, labels, init=tmp_path / "model", **{**changes, "label_init": start})
        for start in (True, False)
    )
    for name, value in plain.learner.weights().items():
        assert torch.equal(value, run.learner.weights()[name]), name
    training.train(
        folder, tmp_path / "next", settings(**changes), labels=labels, init=tmp_path / "model", reporter=said
    )
    assert not any("start from words" in note for note in said.notes)
