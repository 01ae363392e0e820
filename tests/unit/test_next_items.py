"""The graph of next items: counted, chosen, and the same part of the score wherever a model is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pytest

from eimf_core import dataset
from eimf_core.dataset import SplitData
from eimf_core.errors import ModelError
from eimf_core.evaluation import evaluate as evaluation
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.scorers import ModelSystem
from eimf_core.model_directory import artifact, next_items
from eimf_core.model_directory.next_items import NextItems, NextItemsConfig
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Query
from eimf_core.training import next_item_graph, setup
from eimf_core.training import train as training
from eimf_core.training.ensemble import join_models
from tests.conftest import Eimf, one_error_line
from tests.recommend_models import answered, small_items, write_named_model
from tests.small_data import write_small_data
from tests.small_training import small_settings

CONFIG = NextItemsConfig(weight=0.5, decay=0.6, last=2)
ITEMS = len(small_items())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data")


@pytest.fixture
def model(tmp_path: Path, data: Path) -> Path:
    return written(tmp_path / "model", counted(data))


def counted(data: Path, backward: float = 0.0) -> dict[str, Any]:
    """The graph of the training lines."""
    return dict(next_item_graph.count(dataset.load(data, ("train",)).splits["train"], ITEMS, backward=backward))


def written(path: Path, graph: dict[str, Any], config: NextItemsConfig | None = CONFIG) -> Path:
    return write_named_model(path, words=True, graph=graph, next_items=config)


def by_definition(train: SplitData, backward: float) -> dict[int, dict[int, float]]:
    made: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    number = np.bincount(train.items)
    for user in range(len(train)):
        history = train.history(user).tolist()
        for at, item in enumerate(history):
            for distance, other in enumerate(history[at + 1 : at + 11], start=1):
                if item != other:
                    made[item][other] += 1 / distance
                    made[other][item] += backward / distance
    return {
        item: {other: value / number[item] ** 0.5 / number[other] ** 0.25 for other, value in row.items() if value}
        for item, row in made.items()
    }


def rows(arrays: Any) -> dict[int, dict[int, float]]:
    starts, items, values = arrays["starts"], arrays["items"], arrays["values"]
    return {
        row: dict(zip(items[begin:end].tolist(), values[begin:end].tolist(), strict=True))
        for row, (begin, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
        if end > begin
    }


@pytest.mark.parametrize("backward", [0.0, 1.0])
@pytest.mark.parametrize("places", [1, 7, 1 << 18])
def test_counts_are_those_of_the_definition(
    data: Path, monkeypatch: pytest.MonkeyPatch, backward: float, places: int
) -> None:
    monkeypatch.setattr(next_item_graph, "MAX_PLACES", places)
    train = dataset.load(data, ("train",)).splits["train"]
    found = rows(next_item_graph.count(train, ITEMS, backward=backward))
    wanted = {item: row for item, row in by_definition(train, backward).items() if row}
    assert found.keys() == wanted.keys() and len(found) > 20
    for item, row in wanted.items():
        assert found[item] == pytest.approx(row)


def test_a_row_keeps_its_largest_values(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = dataset.load(data, ("train",)).splits["train"]
    whole = rows(next_item_graph.count(train, ITEMS, backward=1.0))
    monkeypatch.setattr(next_items, "MAX_NEIGHBOURS", 3)
    for item, row in rows(next_item_graph.count(train, ITEMS, backward=1.0)).items():
        assert sorted(row.values()) == sorted(whole[item].values())[-3:]
    # of a catalogue with more edges than these fewer are kept
    monkeypatch.setattr(next_items, "MAX_EDGES", 2 * ITEMS + 1)
    for item, row in rows(next_item_graph.count(train, ITEMS, backward=1.0)).items():
        assert sorted(row.values()) == sorted(whole[item].values())[-2:]


def expected(graph: NextItems, history: list[int], width: int) -> npt.NDArray[np.float64]:
    """What the graph adds, by its definition."""
    made = np.zeros(width)
    for back, item in enumerate(history[::-1][: graph.config.last]):
        for other, value in rows(graph.arrays).get(item, {}).items():
            made[other] += graph.config.weight * graph.config.decay**back * value
    return made


def test_the_part_of_the_score(model: Path) -> None:
    graph = artifact.open_model(model).next_items
    assert graph is not None
    histories = [np.array(history) for history in ([3, 9, 3, 3], [7], [1, 2, 3, 4, 5, 6], [4, ITEMS + 2])]
    scores = np.ones((4, ITEMS + 3), np.float32)
    scores[:, 0] = -np.inf
    graph.add(scores, histories, shares=np.array([1, 0.5, 1, 1], np.float32))
    for row, history, share in zip(scores, histories, (1, 0.5, 1, 1), strict=True):
        wanted = 1 + share * expected(graph, history.tolist(), ITEMS + 3)
        np.testing.assert_allclose(row[1:], wanted[1:], rtol=1e-5)
        assert row[0] == -np.inf
        near = np.unique(graph.edges(history)[1])
        assert near.tolist() == np.flatnonzero(expected(graph, history.tolist(), ITEMS + 3)).tolist()


# -- wherever a model is asked


def session(path: Path, **settings: Any) -> Session:
    return Session(path, RecommendConfig(**settings), RecommendRequest(items=["-"]))


def ask(path: Path, query: Query, explain: str | None = None, **settings: Any) -> Any:
    return answered(session(path, **settings), query, explain=explain)


def listed(answer: Any) -> dict[str, float]:
    return {item.item: item.score for item in answer.items}


def test_all_paths_give_the_same_scores(model: Path, data: Path, tmp_path: Path) -> None:
    opened, users = artifact.open_model(model), dataset.load(data, ("test",))
    assert opened.next_items is not None
    artifact.add_arrays(
        model,
        "index.safetensors",
        {
            "centroids": np.concatenate([np.eye(4), -np.eye(4)]).astype(np.float32)[:2],
            "starts": np.array([0, 12, ITEMS]),
            "items": np.arange(1, ITEMS + 1, dtype=np.int32),
            "probes": np.array([1]),
        },
        {},
    )
    histories = [users.splits["test"].history(user) for user in range(20)]
    ids = [[users.vocab.ids[index - 1] for index in history] for history in histories]
    by_eval = ModelSystem(model, users).score(histories).values
    interests, _ = opened.interests(histories)
    queries = tmp_path / "queries.jsonl"
    queries.write_bytes(b"".join(orjson.dumps({"history": one, "k": ITEMS}) + b"\n" for one in ids))
    lines = Session(model, RecommendConfig(), RecommendRequest(queries=str(queries)))
    stream = [orjson.loads(line) for part in lines.stream(queries) for line in part.splitlines()]
    indexed = 0
    for row, (history, own) in enumerate(zip(histories, ids, strict=True)):
        vectors = (interests[row] @ opened.vectors.T).max(axis=0)
        wanted = vectors + expected(opened.next_items, history.tolist(), ITEMS + 1)
        np.testing.assert_allclose(by_eval[row, 1:], wanted[1:], rtol=1e-4, atol=1e-5)
        left = {users.vocab.ids[at - 1]: wanted[at] for at in range(1, ITEMS + 1) if at not in history}
        query = Query(history=own, k=ITEMS)
        alone = ask(model, query)
        assert listed(alone) == pytest.approx(left, abs=1e-5)
        assert list(listed(alone).values()) == sorted(listed(alone).values(), reverse=True)
        assert {item["item"]: item["score"] for item in stream[row]["items"]} == pytest.approx(left, abs=1e-5)
        # through the index: near items and neighbours, with the same scores
        found = listed(ask(model, Query(history=own, k=3), index=True))
        assert all(score == pytest.approx(left[item], abs=1e-5) for item, score in found.items())
        near = np.unique(opened.next_items.edges(history)[1])
        best = max((item for item in left if users.vocab.get(item) in near), key=left.__getitem__)
        assert left[best] < min(found.values()) + 1e-5 or best in found
        indexed += best in found
        # what is explained is what is listed, in two parts
        item = alone.items[row % len(alone.items)]
        why = ask(model, query, explain=item.item).explain
        assert (why["score"], why["rank"]) == (item.score, item.rank)
        assert max(why["scores"]) + why["next_items"] == pytest.approx(item.score, abs=2e-5)
        assert sum(part["score"] for part in why["after"]) == pytest.approx(why["next_items"], abs=2e-5)
        assert {part["item"] for part in why["after"]} <= set(own[-2:])
    assert indexed > 10


@pytest.mark.slow
def test_words_share_the_score_with_vectors_and_graph(model: Path) -> None:
    query = Query(history=["tea-1", "fish-2"], text="knitting wool", k=ITEMS)
    graph = artifact.open_model(model).next_items
    assert graph is not None
    index = {item.item: at for at, item in enumerate(small_items(), start=1)}
    added = expected(graph, [index["tea-1"], index["fish-2"]], ITEMS + 1)
    for weight in (0.0, 0.3, 1.0):
        made = session(model, text_weight=weight)
        for item in answered(made, query).items[:6]:
            why: Any = answered(made, query, explain=item.item).explain
            assert (why["score"], why["rank"]) == (item.score, item.rank)
            assert why["next_items"] == pytest.approx((1 - weight) * added[index[item.item]], abs=1e-5)
    # words alone know nothing of a history
    alone = listed(ask(model, Query(text="knitting wool", k=5)))
    written(model, dict(graph.arrays), NextItemsConfig(weight=9, decay=1, last=2))
    assert listed(ask(model, Query(text="knitting wool", k=5))) == alone


def test_each_interest_has_the_graph_and_words_have_not(model: Path) -> None:
    query = Query(history=["tea-1", "fish-2"], text="knitting wool", k=4)
    made = session(model, per_interest=True)
    for item in answered(made, query).items:
        why: Any = answered(made, query, explain=item.item).explain
        if why["interest"] == item.interest:
            assert (why["score"], why["interest_rank"]) == (item.score, item.rank)


def test_a_new_item_has_no_edges_and_others_keep_theirs(model: Path, tmp_path: Path, eimf: Eimf) -> None:
    (tmp_path / "new.jsonl").write_bytes(b'{"item": "tea-new", "title": "Tea Pot", "categories": ["tea"]}\n')
    asked = ("recommend", model, "--new-items", tmp_path / "new.jsonl", "-k", ITEMS, "--min-score", "-9")
    done = eimf(*asked, "--items", "tea-1,tea-new", "--explain", "tea-2")
    assert done.returncode == 0, done.stderr
    assert [part["item"] for part in orjson.loads(done.stdout)["explain"]["after"]] in (["tea-1"], [])
    new = orjson.loads(eimf(*asked, "--items", "tea-1,fish-2", "--explain", "tea-new").stdout)["explain"]
    assert new["next_items"] == 0 and new["score"] == pytest.approx(max(new["scores"]), abs=1e-5)


def test_data_with_other_items_is_scored_alike(model: Path, data: Path) -> None:
    whole = dataset.load(data, ("test",))
    lines = (data / "items.jsonl").read_bytes().splitlines(keepends=True)
    (data / "items.jsonl").write_bytes(b"".join(lines[::-1]) + b'{"item": "else", "title": "Else"}\n')
    turned = dataset.load(data, ("test",))
    histories = [whole.splits["test"].history(user) for user in range(20)]
    others = [turned.splits["test"].history(user) for user in range(20)]
    one, other = ModelSystem(model, whole).score(histories).values, ModelSystem(model, turned).score(others).values
    np.testing.assert_allclose(one[:, 1:], other[:, ITEMS:0:-1], atol=1e-6)
    assert (other[:, -1] == -np.inf).all()


# -- training


@pytest.mark.slow
def test_what_is_chosen_is_measured_as_eval_does_and_never_worse(data: Path, tmp_path: Path) -> None:
    chosen = 0
    for seed in range(3):
        output = tmp_path / f"model-{seed}"
        summary = training.train(data, output, small_settings(seed=seed))
        opened = artifact.open_model(output)
        settings = EvalConfig(split="valid", k=[10], metrics=["ndcg"], baselines="none")
        (record,) = evaluation.evaluate([output], data, settings).records
        assert record.value == pytest.approx(summary.ndcg, abs=1e-6)
        best = max(line["valid"]["ndcg@10"] for line in opened.epochs)
        if opened.next_items is None:
            assert summary.ndcg == pytest.approx(best, abs=1e-6)
        else:
            chosen += 1
            assert summary.ndcg is not None and summary.ndcg > best
    assert chosen


@pytest.mark.slow
def test_an_ensemble_has_one_graph_beside_its_members(data: Path, tmp_path: Path) -> None:
    names = ["comirec-sa", "sasrec"]
    for name in names:
        training.train(data, tmp_path / name, small_settings(backbone=name))
    assert any(artifact.open_model(tmp_path / name).next_items for name in names)
    summary = training.train(data, tmp_path / "both", small_settings(backbone="+".join(names)))
    made = join_models([tmp_path / name for name in names], data, tmp_path / "joined")
    both, joined = (artifact.open_model(tmp_path / name) for name in ("both", "joined"))
    assert both.next_items is not None and joined.next_items is not None
    assert both.next_items.config == joined.next_items.config and made.ndcg == summary.ndcg
    assert rows(both.next_items.arrays) == rows(joined.next_items.arrays)
    settings = EvalConfig(split="valid", k=[10], metrics=["ndcg"], baselines="none")
    (record,) = evaluation.evaluate([tmp_path / "both"], data, settings).records
    assert record.value == pytest.approx(summary.ndcg, abs=1e-6)
    assert summary.ndcg is not None and summary.ndcg > both.epochs[-1]["ensemble"]["ndcg@10"]


@pytest.mark.slow
def test_models_are_joined_where_their_text_encoder_is_not(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eimf: Eimf
) -> None:
    for name in ("comirec-sa", "sasrec"):
        training.train(data, tmp_path / name, small_settings(backbone=name, item_vectors="text"))

    def gone(*_: Any) -> None:
        raise ModelError("encoder/: cannot be used")

    monkeypatch.setattr(setup, "item_texts", gone)
    done = eimf("join", tmp_path / "comirec-sa", tmp_path / "sasrec", data, "-o", tmp_path / "joined")
    assert done.returncode == 0 and (tmp_path / "joined" / "manifest.json").exists()
    assert b"items of like texts do not count in the score: encoder/: cannot be used" in b" ".join(done.stderr.split())


@pytest.mark.slow
def test_a_log_that_the_last_item_tells_is_read_from_the_graph(tmp_path: Path, eimf: Eimf) -> None:
    """Each item has one that follows it, and 25 users are too few for vectors to learn which."""
    rng, lines = np.random.default_rng(0), []
    circle = rng.permutation(24)
    follower = dict(zip(circle.tolist(), np.roll(circle, -1).tolist(), strict=True))
    names = [item.item for item in small_items()]
    folder = write_small_data(tmp_path)
    for user in range(25):
        walk = [int(rng.integers(24))]
        while len(walk) < 9:
            walk.append(follower[walk[-1]] if rng.random() < 0.8 else int(rng.integers(24)))
        for split, end, asked in (("train", 7, []), ("valid", 7, walk[7:8]), ("test", 8, walk[8:])):
            lines.append(
                {
                    "user": f"u{user}",
                    "split": split,
                    "items": [names[at] for at in walk[:end]],
                    "targets": [names[at] for at in asked],
                }
            )
    (folder / "sequences.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    training.train(folder, tmp_path / "model", small_settings())
    found = artifact.open_model(tmp_path / "model").next_items
    assert found is not None and found.config.backward == 0
    done = eimf("eval", tmp_path / "model", folder, "--split", "valid", "-k", "10", "-m", "ndcg")
    figures = {
        line["model"]: line["value"]
        for line in map(orjson.loads, done.stdout.splitlines())
        if "compared_to" not in line and line["slice"] == "all"
    }
    alone = max(line["valid"]["ndcg@10"] for line in artifact.open_model(tmp_path / "model").epochs)
    assert figures[str(tmp_path / "model")] > figures["last-item"] - 0.01 > alone + 0.1


@pytest.mark.slow
def test_data_without_validation_counts_as_the_model_that_chose(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (data / "sequences.jsonl").read_bytes().splitlines(keepends=True)
    chosen, late = NextItemsConfig(weight=0.7, decay=0.7, last=5, backward=1.0), tmp_path / "late"
    training.train(data, tmp_path / "model", small_settings())
    opened = artifact.open_model(tmp_path / "model")
    train = dataset.load(data, ("train",)).splits["train"]
    (data / "sequences.jsonl").write_bytes(b"".join(line for line in lines if b'"train"' in line))
    training.train(data, late, small_settings())
    assert artifact.open_model(late).next_items is None
    monkeypatch.setattr(artifact, "open_model", lambda path: opened)
    opened.config = msgspec.structs.replace(opened.config, next_items=chosen)
    training.train(data, late, small_settings(), epochs_from=tmp_path / "model")
    training.train(data, tmp_path / "on", small_settings(), init=tmp_path / "model")
    monkeypatch.undo()
    further = artifact.open_model(tmp_path / "on").next_items
    assert further is not None and further.config == chosen
    graph = artifact.open_model(late).next_items
    assert graph is not None and graph.config == chosen
    assert rows(graph.arrays)[3] == pytest.approx(by_definition(train, 1.0)[3])


# -- the file


def test_a_model_of_before_has_no_graph(tmp_path: Path) -> None:
    path = write_named_model(tmp_path / "model")
    assert artifact.open_model(path).next_items is None and not (path / next_items.PART).exists()
    assert ask(path, Query(history=["tea-1"]), explain="tea-2").explain.keys().isdisjoint({"next_items", "after"})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("starts", lambda array: array[::-1].copy()),
        ("starts", lambda array: array + 1),
        ("starts", lambda array: array[:-1].copy()),
        ("starts", lambda array: array.astype(np.int32)),
        ("items", lambda array: array + 1000),
        ("items", lambda array: -array),
        ("items", lambda array: array[:-1].copy()),
        ("values", lambda array: array * np.nan),
        ("values", lambda array: array.astype(np.float16)),
        ("values", None),
    ],
)
def test_a_graph_that_lies_is_told_in_one_line(
    model: Path, eimf: Eimf, name: str, change: Callable[..., Any] | None
) -> None:
    graph = artifact.open_model(model).next_items
    assert graph is not None
    arrays = {key: np.array(part) for key, part in graph.arrays.items()}
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    artifact.add_arrays(model, next_items.PART, arrays, {})
    assert "train" in one_error_line(eimf("recommend", model, "--items", "tea-1,fish-2,yarn-3"), 4)


@pytest.mark.parametrize("config", [None, {"last": 0}, {"last": 10**9}, {"decay": -1.0}, {"weight": 1e99}])
def test_a_config_that_does_not_fit_the_graph(model: Path, eimf: Eimf, config: dict[str, Any] | None) -> None:
    graph = artifact.open_model(model).next_items
    assert graph is not None
    changed = None if config is None else msgspec.structs.replace(CONFIG, **config)
    written(model, dict(graph.arrays), changed)
    assert "train" in one_error_line(eimf("recommend", model, "--items", "tea-1,fish-2,yarn-3"), 4)
    with pytest.raises(ModelError):
        ask(model, Query(history=["tea-1", "fish-2", "yarn-3"]))
