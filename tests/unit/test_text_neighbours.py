"""The graph of items of like texts: by its definition, in lists for a large catalogue, and chosen where it helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest

from eimf_core import dataset
from eimf_core.evaluation.scorers import Events, Scored, Times
from eimf_core.model_directory import artifact, next_items
from eimf_core.model_directory.next_items import NextItems, NextItemsConfig
from eimf_core.numeric.arrays import Arrays, ShortInts
from eimf_core.text.cache import encode_items
from eimf_core.text.loading import open_encoder
from eimf_core.training import next_item_choice, next_item_graph, text_neighbours
from eimf_core.training import train as training
from eimf_core.training.text_neighbours import count, count_if_known
from eimf_core.training.validation import sampled_users
from tests.small_data import write_small_data
from tests.small_training import small_settings


def texts(items: int, seed: int = 0) -> npt.NDArray[np.float16]:
    """Vectors (N + 1, 12) about ten directions; two items have no text."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(10, 12))[rng.integers(10, size=items + 1)] + 0.3 * rng.normal(size=(items + 1, 12))
    made[[0, 3, 5]] = 0
    return made.astype(np.float16)


def dense(arrays: Arrays, width: int) -> npt.NDArray[np.float64]:
    made = np.zeros((width, width))
    for row in range(width):
        part = slice(arrays["starts"][row], arrays["starts"][row + 1])
        assert (np.diff(arrays["items"][part]) > 0).all()
        made[row, arrays["items"][part]] = arrays["values"][part]
    return made


def by_definition(text: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    known = text.any(axis=1)
    centred = text.astype(np.float64) - text[known].astype(np.float64).mean(axis=0)
    unit = np.where(known[:, None], centred / np.linalg.norm(centred, axis=1, keepdims=True), 0)
    cosines = np.maximum(unit @ unit.T, 0)
    np.fill_diagonal(cosines, 0)
    return cosines


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("pairs", [1, 500, 1 << 24])
def test_values_are_the_cosines_of_the_definition(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_neighbours, "PAIRS_AT_ONCE", pairs)
    text = texts(60)
    np.testing.assert_allclose(dense(count(text, rng()), 61), by_definition(text), atol=1e-5)


def test_a_row_keeps_its_largest_values(monkeypatch: pytest.MonkeyPatch) -> None:
    text = texts(60)
    whole = by_definition(text)
    monkeypatch.setattr(next_items, "MAX_NEIGHBOURS", 4)
    found = dense(count(text, rng()), 61)
    for item in (1, 2, 4, 60):
        assert sorted(found[item])[-4:] == pytest.approx(sorted(whole[item])[-4:], abs=1e-5)
        assert (found[item] > 0).sum() == 4
    # 58 items have a text
    monkeypatch.setattr(next_items, "MAX_EDGES", 58 * 2)
    assert ((dense(count(text, rng()), 61) > 0).sum(axis=1) <= 2).all()


def test_a_graph_of_histories_and_texts_has_no_more_edges_than_a_graph_may(monkeypatch: pytest.MonkeyPatch) -> None:
    near = count(texts(60), rng())
    other = {**near, "values": near["values"][::-1].copy()}
    config = NextItemsConfig(weight=1.0, decay=0.7, last=5, text=0.5)
    whole = dense(next_item_graph.with_texts(other, near, config).arrays, 61)
    np.testing.assert_allclose(whole, dense(other, 61) + 0.5 * dense(near, 61), rtol=1e-6)
    monkeypatch.setattr(next_items, "MAX_EDGES", 60 * 3)
    kept = dense(next_item_graph.with_texts(other, near, config).arrays, 61)
    assert ((kept > 0).sum(axis=1) == np.minimum((whole > 0).sum(axis=1), 3)).all()
    assert (np.sort(kept, axis=1)[:, -3:] == np.sort(whole, axis=1)[:, -3:]).all()


def test_a_large_catalogue_is_compared_in_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    text = texts(400)
    whole = by_definition(text)
    monkeypatch.setattr(next_items, "MAX_NEIGHBOURS", 5)
    best = np.sort(whole, axis=1)[:, -5:].sum()
    monkeypatch.setattr(text_neighbours, "EXACT", 100)
    monkeypatch.setattr(text_neighbours, "LIST_SIZE", 20)
    found = dense(count(text, rng()), 401)
    # all components are kept, so that values are cosines; a few neighbours lie in lists that are not looked into
    assert found[found > 0] == pytest.approx(whole[found > 0], abs=2e-3)
    assert found.sum() > 0.97 * best
    assert (dense(count(text, rng()), 401) == found).all()
    monkeypatch.setattr(text_neighbours, "LISTS", 1)
    assert dense(count(text, rng()), 401).sum() < found.sum()


@pytest.mark.parametrize("large", [False, True])
def test_without_texts_there_is_no_graph(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_neighbours, "EXACT", 1 if large else 100)
    assert count_if_known(None, 0) is None
    assert count_if_known(np.zeros((9, 4), np.float16), 0) is None
    same = np.tile(np.arange(4, dtype=np.float16), (9, 1))
    same[0] = 0
    assert count_if_known(same, 0) is None
    one = np.zeros((9, 4), np.float16)
    one[4] = 1
    assert count_if_known(one, 0) is None


# -- chosen on the validation users


class Noise:
    """Vector scores that know nothing."""

    name = "noise"

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        scores = np.random.default_rng(1).normal(size=(len(histories), PAIRS * 2 + 1)).astype(np.float32)
        scores[:, 0] = -np.inf
        return Scored(scores)


PAIRS = 40


@pytest.fixture
def pairs() -> npt.NDArray[np.float16]:
    """Vectors of items (N + 1, D), of which 1 and 2, 3 and 4, … are alike."""
    vectors = np.random.default_rng(3).normal(size=(PAIRS, 32)).repeat(2, axis=0)
    return np.concatenate([np.zeros((1, 32)), vectors]).astype(np.float16)


def logged(folder: Path, partner: bool) -> dataset.Dataset:
    """Histories at random, and a validation item that is the partner of the last one, or one at random."""
    draw, lines = np.random.default_rng(0), []
    for user in range(80):
        items = draw.permutation(PAIRS)[:7] * 2 + draw.integers(2, size=7)
        asked = items[-1] ^ 1 if partner else (items[-1] + 2 * draw.integers(1, PAIRS)) % (2 * PAIRS)
        for split, targets in (("train", []), ("valid", [f"i{asked}"])):
            lines.append({"user": f"u{user}", "split": split, "items": [f"i{at}" for at in items], "targets": targets})
    (folder / "items.jsonl").write_bytes(
        b"".join(orjson.dumps({"item": f"i{at}", "title": f"{at}"}) + b"\n" for at in range(2 * PAIRS))
    )
    (folder / "sequences.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return dataset.load(folder, ("train", "valid"))


def chosen(data: dataset.Dataset, texts: Arrays | None) -> next_item_choice.ChosenGraph:
    users, rows = sampled_users(data, 0, rng())
    return next_item_choice.choose(Noise(), users, users.blocks(rows, 32), data, texts=texts)


def test_texts_count_where_the_next_item_reads_like_the_last(tmp_path: Path, pairs: npt.NDArray[np.float16]) -> None:
    data, texts = logged(tmp_path, partner=True), count(pairs, rng())
    found = chosen(data, texts)
    assert found.graph is not None and found.graph.config.text > 0
    alone = chosen(data, None)
    assert found.ndcg > 0.9 > alone.ndcg + 0.3 and found.without == alone.without
    assert "items of like texts" in found.described and "texts" not in alone.described
    config = found.graph.config
    counts = next_item_graph.count(data.splits["train"], 2 * PAIRS, backward=config.backward)
    wanted = dense(counts, len(pairs)) + config.text * dense(texts, len(pairs))
    np.testing.assert_allclose(dense(found.graph.arrays, len(pairs)), wanted, rtol=1e-5)
    again = next_item_graph.recount(config, data, lambda: texts)
    assert again is not None
    np.testing.assert_array_equal(again.arrays["values"], found.graph.arrays["values"])


def test_texts_that_add_no_more_than_chance_stay_out(tmp_path: Path, pairs: npt.NDArray[np.float16]) -> None:
    found = chosen(logged(tmp_path, partner=False), count(pairs, rng()))
    assert found.graph is None or found.graph.config.text == 0


def test_neighbours_of_either_graph_are_weighed(tmp_path: Path, pairs: npt.NDArray[np.float16]) -> None:
    data, texts = logged(tmp_path, partner=True), count(pairs, rng())
    counts = next_item_graph.count(data.splits["train"], 2 * PAIRS, backward=0.0)
    users, asked = sampled_users(data, 0, rng())
    config = NextItemsConfig(weight=1.0, decay=0.7, last=5)
    graphs = [NextItems(part, config) for part in (counts, texts)]
    found = next_item_choice._block(Noise(), users, asked[:8], graphs)
    for row in range(8):
        history = users.history(row)
        for graph in graphs:
            near = {item for item in graph.edges(history)[1].tolist() if item not in history}
            assert near and near <= set(found.items[row].tolist())


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["comirec-sa", "comirec-sa+sasrec"])
def test_training_gives_the_texts_that_it_starts_from(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Arrays | None] = []
    choose, recount = next_item_choice.choose, next_item_graph.recount

    def choosing(*positional: Any, texts: Arrays | None, **named: Any) -> next_item_choice.ChosenGraph:
        given.append(texts)
        return choose(*positional, texts=texts, **named)

    def as_before(config: NextItemsConfig | None, data: dataset.Dataset, texts: Any) -> NextItems | None:
        given.append(texts())
        return recount(config, data, texts)

    monkeypatch.setattr(next_item_choice, "choose", choosing)
    monkeypatch.setattr(next_item_graph, "recount", as_before)
    (tmp_path / "data").mkdir()
    data = write_small_data(tmp_path / "data")
    text = small_settings(backbone=backbone, item_vectors="text", seed=1)
    training.train(data, tmp_path / "text", text)
    assert artifact.open_model(tmp_path / "text").config.backbone == backbone
    training.train(data, tmp_path / "random", small_settings(backbone=backbone, item_vectors="random"))
    lines = (data / "sequences.jsonl").read_bytes().splitlines(keepends=True)
    (data / "sequences.jsonl").write_bytes(b"".join(line for line in lines if b'"train"' in line))
    training.train(data, tmp_path / "late", text, epochs_from=tmp_path / "text")
    chosen, random, later = given
    assert random is None and chosen is not None and later is not None
    wanted = count(encode_items(data, dataset.load(data, ("train",)).items, open_encoder()), np.random.default_rng(1))
    for part in (chosen, later):
        np.testing.assert_array_equal(part["items"], wanted["items"])
        np.testing.assert_array_equal(part["values"], wanted["values"])


def test_a_graph_without_the_texts_says_so(tmp_path: Path) -> None:
    data = logged(tmp_path, partner=True)
    config = NextItemsConfig(weight=1.0, decay=0.7, last=5, text=0.5)
    made = next_item_graph.recount(config, data, lambda: None)
    assert made is not None and made.config.text == 0
