"""Item vectors that start from the words of labels: by hand, on the small data, and with propagated labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.nn import functional

from eimf_core import dataset
from eimf_core.dataset import Dataset, SplitData
from eimf_core.errors import ConfigError
from eimf_core.io import jsonl
from eimf_core.progress import SILENT
from eimf_core.records import Item
from eimf_core.text.cache import encode_items
from eimf_core.text.loading import open_encoder
from eimf_core.training import label_init, label_propagation, labels, neighbour_init
from eimf_core.training.config import TrainConfig
from tests.small_data import write_small_data
from tests.small_training import small_run

# the labels of the small data and their three-dimensional text vectors
from tests.unit.test_label_training import data, folder, found, joint, labels_of, text_of_items

__all__ = ["data", "folder", "found"]


def test_spread_by_hand() -> None:
    """A chain 1 - 2 - 3 of which only 1 is known, and 4 on its own: two rounds reach 3, 4 stays unknown."""
    links = np.zeros((5, 5))
    links[1, 2] = links[2, 1] = 1.0
    links[2, 3] = links[3, 2] = 3.0
    vectors = np.full((5, 2), 9.0)  # what stands in rows that are not known counts for nothing
    vectors[1] = [4.0, 0.0]
    known = np.array([False, True, False, False, False])
    spread, reached = neighbour_init.propagate(vectors, known, sparse.csr_matrix(links))
    # first round: 1 has no known neighbour and stays, 2 takes 1's; second: 1 has 2's, 2 keeps half, 3 takes 2's
    np.testing.assert_allclose(spread[1:], [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 0.0]])
    assert reached.tolist() == [False, True, True, True, False]
    vectors[3], known[3] = [0.0, 4.0], True
    spread, _ = neighbour_init.propagate(vectors, known, sparse.csr_matrix(links))
    # 2 is a quarter of 1 and three of 3 first, so that 1 and 3 come half of the way
    np.testing.assert_allclose(spread[1:4], [[2.5, 1.5], [1.0, 3.0], [0.5, 3.5]])
    assert vectors[1].tolist() == [4.0, 0.0] and known.sum() == 2


def test_columns_spread_block_by_block_as_all_at_once() -> None:
    draw = np.random.default_rng(0)
    links, vectors = (
        sparse.random_array((30, 30), density=0.03, rng=draw),
        draw.normal(size=(30, neighbour_init.BLOCK + 5)),
    )
    known = draw.random(30) < 0.3
    vectors[~known] = 0.0
    made = np.empty(vectors.shape, dtype=np.float32)
    reached = neighbour_init.fill(made, lambda block: vectors[:, block], known, sparse.csr_matrix(links))
    wanted, there = neighbour_init.propagate(vectors, known, sparse.csr_matrix(links))
    np.testing.assert_allclose(made, wanted, rtol=1e-6, atol=1e-7)
    assert known.sum() < reached.sum() < 30 and reached.tolist() == there.tolist()


def test_neighbours_against_a_naive_count(data: Dataset) -> None:
    train, rows = data.splits["train"], len(data.items) + 1
    wanted = np.zeros((rows, rows))
    for user in range(len(train)):
        history = train.history(user).tolist()
        for at, item in enumerate(history):
            for gap in range(1, neighbour_init.REACH + 1):
                if at + gap < len(history) and history[at + gap] != item:
                    wanted[item, history[at + gap]] += 1 / gap
                    wanted[history[at + gap], item] += 1 / gap
    np.testing.assert_allclose(neighbour_init.neighbours(train, rows).toarray(), wanted)


def test_items_start_near_those_beside_them_in_histories(folder: Path, tmp_path: Path) -> None:
    """Before a step. An item of no history stays where it was."""
    shutil.copytree(folder, tmp_path / "data", ignore=shutil.ignore_patterns("model*", ".*"))
    items = [*jsonl.read(folder / "items.jsonl", Item), Item(item="unseen", title="Unseen")]
    jsonl.write(tmp_path / "data" / "items.jsonl", items)
    run, plain = (small_run(tmp_path / "data", item_vectors=kind, dimension=16) for kind in ("neighbours", "random"))
    near = neighbour_init.neighbours(run.data.splits["train"], len(run.data.items) + 1).toarray()
    found, before = (torch.nn.functional.normalize(one.learner.table.weight, dim=1).numpy() for one in (run, plain))
    apart = ~np.eye(len(near), dtype=bool)
    apart[0] = apart[:, 0] = False
    told = [np.corrcoef((vectors @ vectors.T)[apart], near[apart])[0, 1] for vectors in (found, before)]
    assert told[0] > 0.5 > abs(told[1]) + 0.3
    assert torch.equal(run.learner.table.weight[-1], plain.learner.table.weight[-1])
    again = small_run(tmp_path / "data", item_vectors="neighbours", dimension=16)
    assert torch.equal(again.learner.table.weight, run.learner.table.weight)


def test_words_of_an_item_are_a_mean(data: Dataset, found: labels.Labels) -> None:
    shares, known = label_init.text_shares(found, len(data.items) + 1)
    assert set(np.flatnonzero(known).tolist()) == set(found.text_items[1].tolist())
    item = int(found.text_items[1][0])
    texts = found.text_items[0][found.text_items[1] == item]
    wanted = found.vectors[texts].mean(axis=0) - found.vectors.mean(axis=0)
    np.testing.assert_allclose(shares[[item]] @ (found.vectors - found.vectors.mean(axis=0)), [wanted], rtol=1e-5)


def test_a_start_puts_tastes_apart_and_words_beside_their_items(folder: Path, data: Dataset) -> None:
    """Before the first step: items of one taste, shown or not, are near each other and near their words."""
    run, plain = joint(folder, label_init=True), joint(folder)
    assert run.loop.labels is not None and run.learner.adapter is not None
    vectors = functional.normalize(run.learner.table.all()[1:], dim=1)
    tastes = [item.item.partition("-")[0] for item in data.items]
    same = torch.tensor([[one == other for other in tastes] for one in tastes])
    cosines = vectors @ vectors.T
    before = functional.normalize(plain.learner.table.all()[1:], dim=1)
    random = before @ before.T
    assert cosines[same].mean() - cosines[~same].mean() > random[same].mean() - random[~same].mean() + 0.5
    words = torch.from_numpy(run.loop.labels.vectors)
    near = functional.normalize(run.learner.adapter(words), dim=1) @ vectors.T
    for name, row in zip([interest.name for interest in run.loop.labels.interests], near, strict=True):
        own = torch.tensor([taste == name for taste in tastes])
        assert row[own].mean() > row[~own].mean() + 0.5
    # nothing was drawn for it, and the network is what it would have been
    assert torch.equal(run.learner.generator.get_state(), plain.learner.generator.get_state())
    for name, value in plain.learner.backbone.state_dict().items():
        assert torch.equal(value, run.learner.backbone.state_dict()[name])
    run.go()
    assert run.state.lines[-1]["loss"]["semantic"] > 0


def test_a_start_is_the_same_in_blocks_of_any_width(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is centred by its own columns, and what the mean of all words says is nothing."""
    run = joint(folder, label_init=True)
    monkeypatch.setattr(neighbour_init, "BLOCK", 2)
    other = joint(folder, label_init=True)
    assert run.loop.labels is not None and run.loop.labels.vectors.shape[1] > neighbour_init.BLOCK
    for name, value in run.learner.weights().items():
        torch.testing.assert_close(value, other.learner.weights()[name], rtol=1e-4, atol=1e-5, msg=name)
    assert run.learner.adapter is not None
    mean = torch.from_numpy(run.loop.labels.vectors.mean(axis=0))
    torch.testing.assert_close(run.learner.adapter(mean), torch.zeros(run.learner.adapter.out_features))
    words = run.learner.adapter(torch.from_numpy(run.loop.labels.vectors))
    assert float(words.detach().norm(dim=1).min()) > 0.1, "words themselves say something"


def test_what_is_spread_are_words_less_their_mean(folder: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all words have in common would otherwise draw every item the same way."""
    spread = []
    monkeypatch.setattr(label_init, "project", lambda weight, words, known: spread.append(words) or (0, None))
    run = joint(folder, label_init=True)
    labelled = run.loop.labels
    assert labelled is not None
    rows = len(data.items) + 1
    shares, known = label_init.text_shares(labelled, rows)
    centred = shares @ (labelled.vectors - labelled.vectors.mean(axis=0)).astype(np.float64)
    wanted, _ = neighbour_init.propagate(centred, known, neighbour_init.neighbours(data.splits["train"], rows))
    np.testing.assert_allclose(spread[0], wanted, rtol=1e-4, atol=1e-5)


def test_items_that_no_label_shows_are_placed_beside_those_that_are(folder: Path, data: Dataset) -> None:
    run = joint(folder)
    assert run.loop.labels is not None
    shown = len(set(run.loop.labels.text_items[1].tolist()))
    assert label_init.init_from_labels(run.learner, run.loop.labels, data.splits["train"]) > shown


def test_an_item_without_a_neighbour_stays_where_it_was() -> None:
    none = np.zeros(0, np.int32)
    items, offsets = np.array([1, 2, 3, 2, 4], np.int32), np.array([0, 4, 5])
    train = SplitData(["a", "b"], offsets, items, target_offsets=np.zeros(3, np.int64), targets=none, times=None)
    weight = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    before = weight.clone()
    assert neighbour_init.init_from_neighbours(weight, train, torch.Generator().manual_seed(1)) == 3
    assert torch.equal(weight[[0, 4]], before[[0, 4]]) and not torch.isclose(weight[1:4], before[1:4]).all(dim=1).any()


def test_without_labels_there_is_nothing_to_start_from(folder: Path) -> None:
    one, other = (small_run(folder, label_init=start).learner.weights() for start in (True, False))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_propagated_labels_add_items_whose_titles_fit_the_words(data: Dataset, found: labels.Labels) -> None:
    train, text = data.splits["train"], text_of_items(data)
    propagated = label_propagation.find(found, train, text, -1.0)
    more = label_propagation.with_items(found, propagated, train, text, 0.9)
    wanted = set(map(tuple, found.text_items.T.tolist()))
    for user, donor in zip(propagated.users.tolist(), propagated.source.tolist(), strict=True):
        for row in found.texts[found.offsets[donor] : found.offsets[donor + 1]].tolist():
            name = found.interests[row].name
            wanted |= {
                (row, item) for item in train.history(user).tolist() if data.vocab.ids[item - 1].startswith(name)
            }
    assert (
        set(map(tuple, more.text_items.T.tolist())) == wanted and more.text_items.shape[1] > found.text_items.shape[1]
    )
    # titles at right angles to all propagated words add nothing
    assert np.array_equal(
        label_propagation.with_items(found, propagated, train, np.zeros_like(text), 0.1).text_items, found.text_items
    )


def test_items_of_propagated_labels_train(folder: Path) -> None:
    propagation = {"propagation_min_item_cosine": 0.01, "propagation_min_user_cosine": -1.0}
    run = joint(folder, **propagation, item_alignment_weight=1.0, epochs=1)
    assert run.loop.labels is not None
    assert run.loop.labels.text_items.shape[1] > joint(folder).loop.labels.text_items.shape[1]  # type: ignore[union-attr]
    run.go()
    assert run.state.lines[-1]["loss"]["items"] > 0


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="propagation_min_item_cosine"):
        TrainConfig(propagation_min_item_cosine=1.5)


def test_words_start_where_items_with_such_titles_do(folder: Path, data: Dataset) -> None:
    learner = small_run(folder, folder / "labels.jsonl", item_vectors="text", label_init=True).learner
    assert learner.adapter is not None
    text = np.asarray(encode_items(data.directory, data.items, open_encoder(None), SILENT), dtype=np.float32)
    with torch.no_grad():
        placed = learner.adapter(torch.from_numpy(text[1:]))
    near = functional.cosine_similarity(placed, learner.table.weight[1:])
    assert float(near.min()) > 0.9
    plain = small_run(folder, folder / "labels.jsonl", item_vectors="text").learner
    assert plain.adapter is not None and not torch.equal(plain.adapter.weight, learner.adapter.weight)
    assert torch.equal(plain.table.weight, learner.table.weight)


@pytest.mark.parametrize("title", ["", "A thing"])
def test_titles_that_tell_nothing_leave_the_adapter_as_it_is_drawn(tmp_path: Path, title: str) -> None:
    """Nothing can be projected apart: scaled up to its usual size it would be a million times too large."""
    write_small_data(tmp_path)
    items = [Item(item=item.item, title=title) for item in jsonl.read(tmp_path / "items.jsonl", Item)]
    jsonl.write(tmp_path / "items.jsonl", items)
    jsonl.write(tmp_path / "labels.jsonl", labels_of(dataset.load(tmp_path, ("train",))))
    run, plain = (
        small_run(tmp_path, tmp_path / "labels.jsonl", item_vectors="text", label_init=start) for start in (True, False)
    )
    assert all(torch.equal(value, plain.learner.weights()[name]) for name, value in run.learner.weights().items())
    assert max(float(value.abs().max()) for value in run.learner.weights().values()) < 10.0
