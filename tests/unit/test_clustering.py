"""Typical users: vectors from training lines alone, clusters by text, the budget shared out, no doubles."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.clustering import cluster, representatives, user_clusters
from eimf_core.clustering.config import ClusterConfig
from eimf_core.clustering.user_vectors import UserVectors, distinct_items
from eimf_core.dataset import SplitData, sample_key
from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.naming import distinctive_terms, terms
from eimf_core.numeric import kmeans
from eimf_core.records import Item, Sequence
from tests.small_data import TASTES, write_small_data
from tests.unit.test_text import WordEncoder


@pytest.fixture(autouse=True)
def word_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "open_encoder", lambda name, texts: WordEncoder())


def split(*histories: list[int]) -> SplitData:
    """A training split of users u0, u1 … with these item indices."""
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])])
    return SplitData(
        users=[f"u{at}" for at in range(len(histories))],
        offsets=offsets.astype(np.int64),
        items=np.concatenate([np.array(history, dtype=np.int32) for history in histories]),
        target_offsets=np.zeros(len(histories) + 1, dtype=np.int64),
        targets=np.zeros(0, dtype=np.int32),
        times=None,
    )


# -- users as vectors


def test_a_user_is_the_mean_of_the_items_in_unit_length() -> None:
    items = np.array([[0, 0], [1, 0], [0, 1], [0, 0]], dtype=np.float32)
    users = UserVectors(split([1, 2], [1, 1, 2], [3], [], [2, 3]), items)
    rows = users.rows(np.arange(5))
    assert np.allclose(rows, [[0.5**0.5] * 2, np.array([2, 1]) / 5**0.5, [0, 0], [0, 0], [0, 1]])
    assert np.array_equal(users.rows(np.array([4, 1])), rows[[4, 1]])
    assert [len(block) for block, _ in users.blocks()] == [5]


def test_users_are_the_same_whatever_the_precision_that_items_are_stored_in() -> None:
    rng = np.random.default_rng(0)
    stored = rng.normal(size=(7, 3)).astype(np.float16)
    train = split([6, 1, 2], [3, 3], [], [5, 1])
    chosen = np.array([3, 0, 1, 2])
    rows = UserVectors(train, stored).rows(chosen)
    assert np.array_equal(rows, UserVectors(train, stored.astype(np.float32)).rows(chosen)) and rows.dtype == np.float32


def test_distinct_items_counts_each_once_and_only_those_with_text(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = np.array([False, True, True, False])
    train = split([1, 2, 1], [3, 3], [], [2, 3], [1])
    assert distinct_items(train, counted).tolist() == [2, 0, 0, 1, 1]
    monkeypatch.setattr("eimf_core.clustering.user_vectors.BLOCK", 2)
    assert distinct_items(train, counted).tolist() == [2, 0, 0, 1, 1]
    blocks = list(UserVectors(train, np.zeros((4, 2), np.float32)).blocks())
    assert [block.tolist() for block, _ in blocks] == [[0, 1], [2, 3], [4]]


# -- clusters


def groups_of_vectors(groups: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around `groups` orthogonal directions, and whose is which."""
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(groups), each)
    vectors = np.eye(groups + 4, dtype=np.float32)[truth] + rng.normal(0, 0.05, (len(truth), groups + 4))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("groups", [3, 6])
def test_auto_finds_the_number_of_groups_there_are(groups: int) -> None:
    vectors, _ = groups_of_vectors(groups, 60)
    scores = user_clusters.held_out_cosines(vectors, most=50, rng=np.random.default_rng(0))
    # ten users a cluster at least, of the four fifths that the centres come from
    assert max(scores) == {3: 12, 6: 24}[groups]
    assert user_clusters.choose_count(scores) == groups


def test_the_fewest_clusters_that_are_near_the_best() -> None:
    assert user_clusters.choose_count({2: 0.3, 3: 0.55, 4: 0.54, 6: 0.6}) == 3
    assert user_clusters.choose_count({2: -0.1, 3: 0.0}) == user_clusters.choose_count({}) == 1
    assert user_clusters.candidates(1000, 10) == [2, 3, 4, 6, 8]
    assert user_clusters.candidates(10**6, 10**6)[-1] == user_clusters.MAX_CLUSTERS


@pytest.mark.parametrize("large", [10, 10**6])
def test_clusters_are_found_numbered_by_size_and_the_same_again(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "LARGE", large)
    monkeypatch.setattr(user_clusters, "FITTED_AT_MOST", 150)
    vectors, truth = groups_of_vectors(4, 50)
    vectors, truth = vectors[20:], truth[20:]
    items = np.concatenate([np.zeros((1, 8), np.float32), vectors])
    users = UserVectors(split(*([at] for at in range(len(items)))), items)
    texted = items.any(axis=1)
    found = [user_clusters.cluster(users, texted, 4, most=9, seed=5) for _ in range(2)]
    first = found[0]
    assert first.sizes.tolist() == [50, 50, 50, 30] and first.labels[0] == -1
    assert len({(label, group) for label, group in zip(first.labels[1:], truth, strict=True)}) == 4
    own = np.einsum("ud,ud->u", vectors, first.centres[first.labels[1:]])
    assert np.allclose(first.distances[1:], 1 - own, atol=1e-6)
    assert np.array_equal(first.labels, found[1].labels) and np.array_equal(first.centres, found[1].centres)


# -- the choice


def test_shares_follow_sizes_and_what_is_there() -> None:
    def shared(sizes: list[int], available: list[int], budget: int) -> list[int]:
        return representatives.shares(np.array(sizes), np.array(available), budget).tolist()

    assert shared([60, 30, 10], [60, 30, 10], 10) == [6, 3, 1]
    assert shared([5, 4, 1], [5, 4, 1], 2) == [1, 1, 0]
    assert shared([60, 5, 1], [60, 5, 1], 6) == [4, 1, 1]
    assert shared([60, 30, 10], [2, 30, 0], 9) == [2, 3, 0]
    assert shared([3, 3], [0, 0], 5) == shared([3, 3], [3, 3], 0) == [0, 0]


def chosen(
    histories: list[list[int]], distances: list[float], labels: list[int], **more: float
) -> representatives.Representatives:
    train = split(*histories)
    return representatives.choose(
        np.array(labels, dtype=np.int32),
        np.array(distances, dtype=np.float32),
        distinct_items(train, np.ones(100, dtype=bool)),
        train,
        **{"budget": 99, "rich": 3, "overlap": 0.5, **more},  # type: ignore[arg-type]
    )


def test_rich_histories_come_first_then_the_nearest() -> None:
    histories = [[1, 2], [11, 12, 13], [21, 22, 23, 24], [31], [41, 42, 43], [51, 52, 53]]
    choice = chosen(histories, [0.0, 0.3, 0.2, 0.0, 0.1, 0.9], [0, 0, 0, 0, 1, -1])
    assert choice.users == [[2, 1, 0, 3], [4]]
    assert chosen(histories, [0.0, 0.3, 0.2, 0.0, 0.1, 0.9], [0, 0, 0, 0, 1, -1], budget=2).users == [[2], [4]]


def test_near_doubles_are_passed_over_and_their_place_goes_to_others() -> None:
    histories = [[1, 2, 3, 4], [4, 3, 2, 1, 1], [1, 2, 3, 9], [1, 2, 8, 9], [50, 51, 52], [60, 61, 62]]
    labels, distances = [0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.1, 0.2]
    choice = chosen(histories, distances, labels, budget=4)
    # 1 repeats 0, 2 shares 3 of 5 items with it, 3 shares 2 of 6
    assert choice.users == [[0, 3], [4, 5]] and choice.near_duplicates == 2
    assert chosen(histories, distances, labels, budget=4, overlap=1).users == [[0, 1, 2], [4]]
    assert chosen(histories, distances, labels, overlap=0.59).near_duplicates == 2
    assert chosen(histories, distances, labels, overlap=0.61).near_duplicates == 1
    assert chosen(histories, distances, labels, overlap=0).users == [[0], [4, 5]]


def test_doubles_are_those_that_a_comparison_of_all_pairs_finds() -> None:
    rng = np.random.default_rng(3)
    histories = [rng.integers(1, 15, rng.integers(1, 9)).tolist() for _ in range(300)]
    distances = rng.random(300).tolist()
    for overlap in (0.2, 0.5, 0.75, 0.9):
        kept: list[set[int]] = []
        expected = []
        for user in np.argsort(np.array(distances, dtype=np.float32), kind="stable"):
            items = set(histories[user])
            if all(len(items & other) <= overlap * len(items | other) for other in kept):
                kept.append(items)
                expected.append(user)
        assert chosen(histories, distances, [0] * 300, budget=300, rich=1, overlap=overlap).users == [expected]


# -- words


def test_words_of_titles() -> None:
    title = "The Devil’s Own (1997), 16 oz. of 3-in-1 X-ray Éclair"
    assert terms.title_words(title) == ["devil's", "oz", "ray", "éclair"]
    counts = np.array([[8.0, 2, 0], [8, 0, 1], [0, 0, 0]])
    weights = distinctive_terms.divergence(counts)
    assert weights[0].argmax() == 1 and weights[1].argmax() == 2 and not weights[2].any()


# -- the whole step


def found(folder: Path, **settings: object) -> cluster.ClusteredUsers:
    return cluster.cluster_users(folder, ClusterConfig(**settings))  # type: ignore[arg-type]


def test_samples_are_training_histories_with_titles(tmp_path: Path) -> None:
    write_small_data(tmp_path)
    result = found(tmp_path, clusters="3", budget="30%")
    lines = {line.user: line for line in jsonl.read(tmp_path / "sequences.jsonl", Sequence) if line.split == "train"}
    titles = {item.item: item.title for item in jsonl.read(tmp_path / "items.jsonl", Item)}
    samples = list(result.samples())
    assert len(samples) == 18 == len({sample.user for sample in samples})
    for sample in samples:
        line = lines[sample.user]
        assert [(entry.item, entry.title) for entry in sample.history] == [(item, titles[item]) for item in line.items]
        assert sample.key == sample_key(line.user, line.items)
        assert 0 <= sample.distance <= 2
        assert sample.cluster_size == result.summaries[sample.cluster].size
    per_cluster = Counter(sample.cluster for sample in samples)
    assert [per_cluster[line.cluster] for line in result.summaries] == [line.samples for line in result.summaries]
    # mixed: the beginning of the list has samples of every cluster
    assert len({sample.cluster for sample in samples[:4]}) == 3


def test_a_summary_tells_what_a_cluster_is_about(tmp_path: Path) -> None:
    names = list(TASTES)
    items = [Item(item=f"{t}-{n}", title=title) for t, titles in TASTES.items() for n, title in enumerate(titles)]
    rng = np.random.default_rng(0)
    lines = [
        Sequence(user=f"{taste}-{n}", split="train", items=[f"{taste}-{at}" for at in rng.permutation(8)[:5]])
        for taste, count in zip(names, (20, 15, 10), strict=True)
        for n in range(count)
    ]
    jsonl.write(tmp_path / "items.jsonl", items)
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    result = found(tmp_path, clusters="3", budget="9")
    assert [line.size for line in result.summaries] == [20, 15, 10]
    assert [line.samples for line in result.summaries] == [4, 3, 2]
    for line, taste, word in zip(result.summaries, names, ("tea", "yarn", "tank"), strict=True):
        assert line.words[0] == word and len(line.words) == len(set(line.words)) == 8
        assert len(line.items) == cluster.NEAREST_ITEMS and {entry.item.split("-")[0] for entry in line.items} == {
            taste
        }
        assert all(sample.user.startswith(taste) for sample in result.samples() if sample.cluster == line.cluster)


def test_what_is_not_training_leaves_no_trace(tmp_path: Path) -> None:
    """The same training lines beside quite different validation and test lines give the same bytes."""
    outputs = []
    for name in ("plain", "planted"):
        folder = tmp_path / name
        folder.mkdir()
        write_small_data(folder)
        lines = list(jsonl.read(folder / "sequences.jsonl", Sequence))
        if name == "planted":
            items = list(jsonl.read(folder / "items.jsonl", Item))
            planted = ["fish-1"] * 30
            lines = [
                line
                if line.split == "train"
                else Sequence(user=line.user, split=line.split, items=planted, targets=planted)
                for line in lines
            ]
            lines += [Sequence(user="late", split="valid", items=planted, targets=["fish-2"])]
            jsonl.write(folder / "sequences.jsonl", lines)
            jsonl.write(folder / "items.jsonl", items)
        result = found(folder, budget="20%")
        outputs.append([*map(jsonl.encode, result.samples()), *map(jsonl.encode, result.summaries)])
        assert result.facts["users"] == 60
    assert outputs[0] == outputs[1]


def test_an_item_that_only_validation_has_shapes_nothing(tmp_path: Path) -> None:
    write_small_data(tmp_path)
    before = found(tmp_path, clusters="2")
    items = [*jsonl.read(tmp_path / "items.jsonl", Item), Item(item="new", title="Green Tea Wool Yarn Fish Tank")]
    lines = [
        line if line.split == "train" else Sequence(user=line.user, split=line.split, items=["new"], targets=["new"])
        for line in jsonl.read(tmp_path / "sequences.jsonl", Sequence)
    ]
    jsonl.write(tmp_path / "items.jsonl", items)
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    after = found(tmp_path, clusters="2")
    assert list(after.samples()) == list(before.samples()) and after.summaries == before.summaries


def test_the_seed_alone_decides(tmp_path: Path) -> None:
    write_small_data(tmp_path, users=200)
    first, again, other = (found(tmp_path, clusters="8", seed=seed) for seed in (1, 1, 2))
    assert list(first.samples()) == list(again.samples())
    assert np.array_equal(first.clusters.centres, again.clusters.centres)
    assert not np.array_equal(first.clusters.centres, other.clusters.centres)


def test_users_without_text_are_left_out_and_counted(tmp_path: Path) -> None:
    items = [Item(item="a", title="Green Tea"), Item(item="b", title=" "), Item(item="c", title="Wool")]
    lines = [Sequence(user=f"u{n}", split="train", items=[name]) for n, name in enumerate("abcab")]
    jsonl.write(tmp_path / "items.jsonl", items)
    jsonl.write(tmp_path / "sequences.jsonl", [*lines, Sequence(user="none", split="train", items=[])])
    result = found(tmp_path, clusters="2", budget="100%", overlap=1.0)
    assert {sample.user for sample in result.samples()} == {"u0", "u2", "u3"}
    assert result.facts["users_without_text"] == 3
    jsonl.write(tmp_path / "items.jsonl", [Item(item=name, title="") for name in "abc"])
    with pytest.raises(InputError, match="titles"):
        found(tmp_path)


@pytest.mark.parametrize("users", [1, 2])
def test_hardly_any_users(tmp_path: Path, users: int) -> None:
    jsonl.write(tmp_path / "items.jsonl", [Item(item="a", title="Green Tea"), Item(item="b", title="Wool")])
    lines = [Sequence(user=f"u{n}", split="train", items=["a", "b"]) for n in range(users)]
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    for clusters in ("auto", "1"):
        (sample,) = found(tmp_path, clusters=clusters, budget="100%").samples()
        assert sample.user == "u0" and sample.cluster_size == users
    with pytest.raises(ConfigError, match="only"):
        found(tmp_path, clusters="3")


def test_those_with_many_items_are_typical(tmp_path: Path) -> None:
    """The quarter of users with the most distinct items comes first, where nothing else is asked for."""
    jsonl.write(tmp_path / "items.jsonl", [Item(item=f"{at}", title=f"word{at}") for at in range(60)])
    lengths = [2, 3, 4, 5, 6, 7, 8, 30]
    lines = [
        Sequence(user=f"{length}", split="train", items=[f"{at}" for at in range(length)] * 2) for length in lengths
    ]
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    result = found(tmp_path, clusters="1", budget="2", overlap=1.0)
    assert result.facts["rich_from_items"] == 7  # of 7.25
    assert {sample.user for sample in result.samples()} <= {"7", "8", "30"}
    jsonl.write(tmp_path / "sequences.jsonl", [lines[-1]])
    assert found(tmp_path, clusters="1", budget="1").facts["rich_from_items"] == cluster.RICH_AT_MOST


def test_training_finds_the_samples_of_cluster(tmp_path: Path) -> None:
    from eimf_core.training.labels import _training_keys

    keys = _training_keys(dataset.load(write_small_data(tmp_path)))
    assert all(sample.key in keys for sample in found(tmp_path, budget="100%").samples())


@pytest.mark.parametrize(
    "settings",
    [
        {"clusters": "0"},
        {"clusters": "some"},
        {"clusters": "-3"},
        {"budget": "0"},
        {"budget": "0%"},
        {"budget": "101%"},
        {"budget": "nan%"},
        {"budget": "x%"},
        {"budget": "1.5"},
        {"overlap": 1.1},
        {"overlap": float("nan")},
        {"seed": -1},
        {"min_items": -1},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings)).replace("_", "[_-]")):
        ClusterConfig(**settings)  # type: ignore[arg-type]


CHANGES = {
    "clusters": "4", "budget": "20%", "encoder": "other", "seed": 5, "min_items": 3, "overlap": 0.1,
    "categories": False,
}  # fmt: skip


def test_every_setting_is_changed_below() -> None:
    # who encodes the text changes nothing, which `cli/test_ray` holds
    assert {*CHANGES, "ray"} == {field.name for field in fields(ClusterConfig)}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_changes_the_choice_and_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def opened(encoder: str | None, texts: int) -> WordEncoder:
        made = WordEncoder()
        if encoder:  # sees no words, but what they begin with
            made.encode = lambda texts, *_: WordEncoder().encode([text[:1] for text in texts])  # type: ignore[method-assign]
            made.identity = encoder
        return made

    monkeypatch.setattr(cluster, "open_encoder", opened)
    write_small_data(tmp_path)
    base: dict[str, object] = {"clusters": "11", "budget": "30%"}
    samples, recorded = [], []
    for change in ({}, {}, {name: CHANGES[name]}):
        settings = ClusterConfig(**base | change)  # type: ignore[arg-type]
        result = cluster.cluster_users(tmp_path, settings)
        samples.append(list(result.samples()))
        recorded.append(result.sidecar(settings)["arguments"])
    assert samples[0] == samples[1] != samples[2]
    assert recorded[0] == recorded[1] != recorded[2] and recorded[2][name] == CHANGES[name]


def test_budgets() -> None:
    assert ClusterConfig(budget="7").samples(100) == 7
    assert ClusterConfig(budget="700").samples(100) == 100
    assert ClusterConfig(budget="2.5%").samples(1000) == 25
    assert ClusterConfig(budget="1%").samples(10) == 1
