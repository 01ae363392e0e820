"""The approximate index: what it finds, what it refuses, and that the exact search stays the default."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest

from eimf_core.errors import ConfigError, EimfError, ModelError
from eimf_core.model_directory import artifact
from eimf_core.model_directory.next_items import NextItems, NextItemsConfig
from eimf_core.recommend import index_search
from eimf_core.recommend.build_index import build_index
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.item_scores import ItemScores
from eimf_core.recommend.query.query_resolution import NOTHING, ResolvedQuery
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Item, Query
from tests.benchmarks.recommend_speed import random_graph
from tests.conftest import Eimf, one_error_line
from tests.recommend_models import answered, write_named_model
from tests.small_models import write_small_model

TASTES = 40


@pytest.fixture(scope="module")
def bunches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 items in 40 bunches."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(TASTES, 16))
    vectors = np.repeat(centres, 50, axis=0) + 0.2 * rng.normal(size=(TASTES * 50, 16))
    items = [Item(item=f"i{at}", title=f"Thing {at}", categories=[f"c{at // 50}"]) for at in range(len(vectors))]
    table = np.concatenate([np.zeros((1, 16)), vectors]).astype(np.float32)
    return write_small_model(tmp_path_factory.mktemp("bunches") / "model", items, table)


@pytest.fixture
def model(bunches: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(bunches, tmp_path / "model"))


def answer(path: Path, query: Query, **settings: Any) -> list[tuple[str, float]]:
    session = Session(path, RecommendConfig(**settings), RecommendRequest(items=["-"]))
    return [(item.item, item.score) for item in answered(session, query).items]


def use(path: Path) -> None:
    for start in range(0, 2_000, 50):
        answer(path, Query(history=[f"i{start}"]), index=True)


@pytest.mark.slow
def test_the_index_finds_what_exact_search_finds(model: Path) -> None:
    pytest.importorskip("faiss", reason="the index is built with faiss: pip install eimf[faiss]")
    before = artifact.open_model(model)
    built = build_index(model)
    after = artifact.open_model(model)
    artifact.verify(model)
    assert before.index is None and after.index is not None
    np.testing.assert_array_equal(after.vectors, before.vectors)
    assert after.provenance["index"]["recall@10"] == round(built.recall, 4) >= 0.95
    assert built.share < 0.5 and 1 <= built.probes < built.lists
    rng = np.random.default_rng(1)
    queries = [Query(history=[f"i{at}" for at in rng.integers(2_000, size=3)]) for _ in range(60)]
    exact = [answer(model, query) for query in queries]
    found = [answer(model, query, index=True) for query in queries]
    shared = [len(dict(one).keys() & dict(other).keys()) for one, other in zip(exact, found, strict=True)]
    assert np.mean(shared) >= 9.5 and all(len(row) == 10 for row in found)
    # what is found has its exact score
    for one, other in zip(exact, found, strict=True):
        for item in dict(one).keys() & dict(other).keys():
            assert abs(dict(one)[item] - dict(other)[item]) < 2e-6
    # built again, it takes the place of the old one
    assert build_index(model) == built


def test_a_filter_that_leaves_too_little_falls_back_to_exact_search(model: Path) -> None:
    pytest.importorskip("faiss", reason="the index is built with faiss: pip install eimf[faiss]")
    build_index(model)
    far = [f"i{at}" for at in range(0, 2_000, 97)]
    query = Query(history=["i3"], only=far)
    assert answer(model, query, index=True) == answer(model, query)
    assert len(answer(model, query, index=True)) == 10


def test_one_line_without_index_and_without_faiss(model: Path, eimf: Eimf, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "eimf index" in one_error_line(eimf("recommend", model, "--items", "i1", "--index"), 2)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigError, match=r"eimf\[faiss\]"):
        build_index(model)
    # no package helps where there is no model
    with pytest.raises(ConfigError, match="no such model directory"):
        build_index(model / "nowhere")


def test_the_command_prints_the_recall(model: Path, eimf: Eimf) -> None:
    pytest.importorskip("faiss", reason="the index is built with faiss: pip install eimf[faiss]")
    done = eimf("index", model)
    assert done.returncode == 0 and done.stdout == b""
    assert "recall@10 against exact search 0.9" in done.stderr.decode() or "search 1.000" in done.stderr.decode()
    done = eimf("recommend", model, "--index", "--items", "i1", "-k", "1")
    assert done.returncode == 0 and len(orjson.loads(done.stdout)["items"]) == 1


def by_hand() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {
        "centroids": np.ones((2, 16), dtype=np.float32),
        "starts": np.array([0, 1_000, 2_000]),
        "items": np.arange(1, 2_001, dtype=np.int32),
        "probes": np.array([2]),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("centroids", lambda array: array[:, :3].copy()),
        ("centroids", lambda array: array.astype(np.int32)),
        ("starts", lambda array: array[::-1].copy()),
        ("starts", lambda array: array - 5),
        ("starts", lambda array: np.array(7)),
        ("starts", lambda array: array[:1].copy()),
        ("items", lambda array: array + 1),
        ("items", lambda array: array - 1),
        ("items", lambda array: array[:-1].copy()),
        ("items", lambda array: array.astype(np.float32)),
        ("probes", lambda array: array * 0),
        ("probes", lambda array: array + 90),
        ("probes", None),
    ],
)
def test_an_index_that_lies_is_told_in_one_line(model: Path, name: str, change: Callable[..., Any] | None) -> None:
    artifact.add_arrays(model, "index.safetensors", by_hand(), {})
    use(model)
    arrays = by_hand()
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    artifact.add_arrays(model, "index.safetensors", arrays, {})
    with pytest.raises(ModelError) as caught:
        use(model)
    assert "\n" not in str(caught.value)


def test_the_index_is_a_part_like_the_others(model: Path, tmp_path: Path) -> None:
    artifact.add_arrays(model, "index.safetensors", by_hand(), {})
    part = model / "index.safetensors"
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    with pytest.raises(ModelError, match=r"index\.safetensors has"):
        artifact.open_model(model)
    part.write_bytes(content[:-1] + b"\x07")
    with pytest.raises(ModelError, match="sha256 differs"):
        artifact.verify(model)
    os.rename(part, tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="missing"):
        artifact.open_model(model)
    part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="cannot be read"):
        artifact.open_model(model)


def test_a_part_that_the_manifest_does_not_name_is_not_read(model: Path) -> None:
    (model / "index.safetensors").write_bytes(b"\x80\x04no index")
    assert artifact.open_model(model).index is None
    pickled = b"\x80\x04" + bytes(40)
    manifest = orjson.loads((model / "manifest.json").read_bytes())
    manifest["files"]["index.safetensors"] = {"size": len(pickled), "sha256": hashlib.sha256(pickled).hexdigest()}
    (model / "index.safetensors").write_bytes(pickled)
    (model / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(EimfError):
        artifact.open_model(model)


def test_items_added_after_training_are_always_looked_at(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="the index is built with faiss: pip install eimf[faiss]")
    path = write_named_model(tmp_path / "model", words=True)
    build_index(path)
    new = tmp_path / "new.jsonl"
    new.write_text('{"item": "new-1", "title": "Green Tea", "categories": ["tea"]}\n')
    session = Session(path, RecommendConfig(index=True, k=25), RecommendRequest(items=["-"], new_items=new))
    assert "new-1" in [item.item for item in answered(session, Query(history=["tea-1"])).items]


LATE, LISTS, USERS, WIDTH, INTERESTS = 40, 50, 60, 32, 6


def lists_by_hand(vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
    """An index of all but the last items, each in the list of the nearest of the first ones."""
    centroids = vectors[1 : LISTS + 1]
    of = (vectors[1 : len(vectors) - LATE] @ centroids.T).argmax(axis=1)
    starts = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=LISTS))])
    order = (np.argsort(of, kind="stable") + 1).astype(np.int32)
    return {"centroids": centroids.copy(), "starts": starts, "items": order, "probes": np.array([2])}


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("graph, filtered, boosted", [(False, False, False), (True, False, False), (True, True, True)])
@pytest.mark.parametrize("shared", [0.0, 1e9], ids=["list by list", "user by user"])
def test_what_is_found_is_what_lies_in_the_lists(
    shared: float, graph: bool, filtered: bool, boosted: bool, words: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_search, "SHARED", shared)
    rng = np.random.default_rng(3)
    items = 1500
    vectors = rng.normal(size=(items + 1, WIDTH)).astype(np.float32)
    vectors[0] = 0
    asked = rng.normal(size=(USERS, INTERESTS, WIDTH)).astype(np.float32)
    # three interests of one part beside two of another
    half = WIDTH // 2
    asked[:, :, :half], asked[:, :, half:] = asked[:, [0, 0, 2, 2, 4, 4], :half], asked[:, [0, 1] * 3, half:]
    next_items = NextItems(random_graph(items - LATE, 20, 0).arrays, NextItemsConfig(weight=9.0, decay=0.7, last=3))
    opened: Any = SimpleNamespace(
        name="a model", vectors=vectors, scale=rng.random(items + 1, dtype=np.float32), counts=np.ones(items + 1),
        next_items=next_items if graph else None, interest_product=SimpleNamespace(parts=[(half, 3), (half, 2)]),
        index=lists_by_hand(vectors), config=SimpleNamespace(items=items - LATE, dimension=WIDTH, interests=INTERESTS),
    )  # fmt: skip
    allowed = rng.random(items + 1) < 0.7 if filtered else None
    boosts = np.ones(items + 1, np.float32)
    boosts[rng.integers(1, items, 9)] = 3
    boosts[rng.integers(1, items, 90)] = 0.3
    users = []
    for user in range(USERS):
        history = rng.integers(1, items - LATE, size=5)
        excluded = rng.integers(1, items, size=200) if filtered else NOTHING
        # some of them leave so few that the lists hardly hold enough
        only = rng.integers(1, items, size=(600, 12)[user % 2]) if filtered and user % 3 == 0 else None
        users.append(ResolvedQuery(str(user), history, None, None, None, None, [], excluded, only, history, 0.0, 7))
    found = ItemScores(opened, RecommendConfig(index=True), allowed=allowed, boosts=boosts if boosted else None)
    exact = ItemScores(opened, RecommendConfig(), allowed=allowed, boosts=boosts if boosted else None)
    lists = found.best(asked, users, words=words, whole=not words)
    scores = exact.scores(asked, users, words=words, whole=not words)
    index = index_search.index_of(opened)
    looked = fell_back = 0
    for row, query in enumerate(users):
        near = [index.candidates(asked[row]), np.arange(items - LATE + 1, items + 1)]
        if graph and not words:
            near.append(next_items.edges(query.history)[1])
        if boosted:
            near.append(np.flatnonzero(boosts > 1))
        there = np.zeros(items + 1, np.bool_)
        there[np.concatenate(near)] = True
        may_be = np.where(there, scores[row], -np.inf)
        looked += there.sum()
        if np.isfinite(may_be).sum() < query.k:
            fell_back, may_be = fell_back + 1, scores[row]
        best = np.argsort(-may_be, kind="stable")[: min(query.k, np.isfinite(may_be).sum())]
        assert lists[row][0] == best.tolist()
        assert lists[row][1] == pytest.approx(may_be[best].tolist(), abs=2e-5)
        # what is explained reads whole rows
        whole = found.scores(asked[row : row + 1], [query], words=words, whole=not words)[0]
        np.testing.assert_allclose(whole, may_be, atol=2e-5)
    assert looked < 0.8 * USERS * items and fell_back < USERS // 2 and (fell_back > 0) == filtered
