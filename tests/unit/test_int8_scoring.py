"""Scores in 8 bits: how far off they are, and lists that are found through them, against scores of all items."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eimf_core.errors import ModelError
from eimf_core.io import jsonl
from eimf_core.model_directory.next_items import NextItems, NextItemsConfig
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats
from eimf_core.recommend import int8_scoring, item_scores
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.int8_scoring import Int8Scores
from eimf_core.recommend.item_scores import ItemScores
from eimf_core.recommend.query.query_resolution import NOTHING, ResolvedQuery
from eimf_core.recommend.session import Session
from eimf_core.recommend.top_items import top_items, top_pairs
from eimf_core.records import Item, Query
from tests.benchmarks.recommend_speed import random_graph, write_queries
from tests.recommend_models import write_named_model

ITEMS, USERS, WIDTH = 3000, 40, 32
PARTS = [(WIDTH, 4), (WIDTH, 3)]


def vectors(rng: np.random.Generator, width: int) -> Floats:
    """Item vectors of all lengths, some of them twice, so that scores are equal."""
    made = rng.normal(size=(ITEMS + 1, width)) * rng.uniform(0.1, 3, size=(ITEMS + 1, 1))
    made[0], made[7], made[-200:] = 0, 0, made[200:400]
    return made.astype(np.float32)


def interests(rng: np.random.Generator, parts: list[tuple[int, int]]) -> Floats:
    """Interests (B, K, d): each of one part beside each of every other."""
    joint = np.zeros((USERS, 1, 0), np.float32)
    for width, count in parts:
        own = rng.normal(size=(USERS, count, width)).astype(np.float32)
        left, right = np.repeat(joint, count, axis=1), np.tile(own, (1, joint.shape[1], 1))
        joint = np.concatenate([left, right], axis=2)
    return joint


@pytest.mark.parametrize("largest", [int8_scoring.LARGEST, int8_scoring.SMALLER])
@pytest.mark.parametrize("parts", [[], PARTS])
def test_no_score_is_further_off_than_told(
    parts: list[tuple[int, int]], largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if largest > int8_scoring._largest():
        pytest.skip("this processor adds in 16 bits")
    monkeypatch.setattr(int8_scoring, "_largest", lambda: largest)
    rng = np.random.default_rng(0)
    items, scale = vectors(rng, sum(width for width, _ in PARTS)), rng.random(ITEMS + 1, dtype=np.float32)
    asked = interests(rng, PARTS)
    asked[3] = 0
    for scaled in (None, scale):
        near = Int8Scores(items, scaled, parts)
        rounded = near.rounded(asked)
        found = near.scores(rounded, slice(0, USERS)) * rounded.steps[:, None]
        off = rounded.off * rounded.steps
        assert found.shape[1] % ranking.GROUP == 0 and (found[:, ITEMS + 1 :] == -np.inf).all()
        found = found[:, : ITEMS + 1]
        exact = ranking.best_scores(asked, items, scaled, parts)
        distance = np.abs(found[:, 1:] - exact[:, 1:]).max(axis=1)
        assert (distance <= off).all()
        # told not much further than it is, and near enough to be of use
        assert (distance[off > 0] > off[off > 0] / 20).all()
        assert (off <= 0.1 * exact[:, 1:].max(axis=1) + 1e-6).all()
        assert (found[:, 0] == -np.inf).all()


def test_processors_that_add_in_16_bits_get_smaller_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    int8_scoring._largest.cache_clear()
    assert int8_scoring._largest() in (int8_scoring.LARGEST, int8_scoring.SMALLER)
    int8_scoring._largest.cache_clear()
    exact = int8_scoring._products
    monkeypatch.setattr(int8_scoring, "_products", lambda *asked: np.minimum(exact(*asked), 1 << 15))
    assert int8_scoring._largest() == int8_scoring.SMALLER
    int8_scoring._largest.cache_clear()


def queries(rng: np.random.Generator, **more: Any) -> list[ResolvedQuery]:
    """Histories with items to leave out, to keep, with words, and such as leave fewer items than asked for."""
    made = []
    for user in range(USERS):
        history = rng.integers(1, ITEMS + 1, size=rng.integers(1, 9))
        excluded = rng.integers(1, ITEMS + 1, size=300) if user % 5 == 1 else NOTHING
        only = rng.integers(1, ITEMS + 1, size=(4, 400)[user % 2]) if user % 7 == 2 else None
        spoken = np.ones(2 * WIDTH, np.float32) if user % 9 == 3 else None
        settings = {"diversity": 0.5 if user % 11 == 5 else 0.0, "k": 5 + user % 4, **more}
        made.append(
            ResolvedQuery(str(user), history, None, None, spoken, None, [], excluded, only, history, **settings)
        )
    return made


def model(rng: np.random.Generator, parts: list[tuple[int, int]], *, scaled: bool, graph: bool) -> Any:
    """What `ItemScores` reads of a model."""
    items = vectors(rng, 2 * WIDTH)
    next_items = None
    if graph:
        next_items = NextItems(random_graph(ITEMS, 20, 0).arrays, NextItemsConfig(weight=30.0, decay=0.7, last=3))
    scale = rng.random(ITEMS + 1, dtype=np.float32) if scaled else None
    return SimpleNamespace(
        name="a model", vectors=items, scale=scale, next_items=next_items, interest_product=SimpleNamespace(parts=parts)
    )


@pytest.mark.parametrize("scaled, graph, boosted", [(False, False, False), (True, True, False), (True, True, True)])
@pytest.mark.parametrize("parts", [[], PARTS])
def test_lists_are_those_of_exact_scores_to_the_last_digit(
    parts: list[tuple[int, int]], scaled: bool, graph: bool, boosted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    opened = model(rng, parts, scaled=scaled, graph=graph)
    asked, allowed = interests(rng, PARTS), rng.random(ITEMS + 1) < 0.7
    boosts = np.where(rng.random(ITEMS + 1) < 0.01, rng.choice([0.1, 4], ITEMS + 1), 1).astype(np.float32)
    users = queries(rng)
    settings = RecommendConfig(min_score=-1.0)
    monkeypatch.setattr(item_scores, "LISTED", 20)

    def found(many: int) -> tuple[ItemScores, Any]:
        monkeypatch.setattr(item_scores, "MANY", many)
        scores = ItemScores(opened, settings, allowed=allowed, boosts=boosts if boosted else None)
        return scores, scores.best(asked, users, whole=True)

    (exact, expected), (near, lists) = found(USERS + 1), found(USERS)
    assert near._near is not None and exact._near is None
    assert lists == expected
    assert min(len(items) for items, _ in expected) < 4
    # words alone have one vector, and of an ensemble no parts
    alone = [query for query in users if query.text_vector is not None]
    words = np.ones((len(alone), 1, 2 * WIDTH), np.float32)
    assert near.best(words, alone, words=True) == exact.best(words, alone, words=True)


def test_a_score_that_is_no_number_is_told_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    asked = interests(rng, PARTS)
    asked[5, 2, 1] = np.nan
    monkeypatch.setattr(item_scores, "MANY", 1)
    scores = ItemScores(model(rng, [], scaled=True, graph=False), RecommendConfig(k=3), allowed=None, boosts=None)
    with pytest.raises(ModelError, match="no number"):
        scores.best(asked, queries(rng, diversity=0.0, k=3), whole=True)


@pytest.mark.parametrize("where", ["vectors", "scale"])
def test_a_table_with_what_is_no_number_is_told_by_the_first_and_the_last_query(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    opened = model(rng, [], scaled=True, graph=False)
    getattr(opened, where)[7] = np.nan
    for many in (1, USERS + 1):
        monkeypatch.setattr(item_scores, "MANY", many)
        scores = ItemScores(opened, RecommendConfig(k=3), allowed=None, boosts=None)
        with pytest.raises(ModelError, match="no number"):
            scores.best(interests(rng, PARTS), queries(rng, diversity=0.0, k=3), whole=True)


@pytest.mark.parametrize("boosted", [False, True])
def test_the_last_digits_of_large_products_change_no_list(boosted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    opened = model(rng, [], scaled=True, graph=True)
    # of two items with one vector the first is listed
    opened.vectors[ITEMS // 2 + 1 : 2 * (ITEMS // 2) + 1] = opened.vectors[1 : ITEMS // 2 + 1]
    opened.scale[ITEMS // 2 + 1 : 2 * (ITEMS // 2) + 1] = opened.scale[1 : ITEMS // 2 + 1]
    boosts = rng.choice([0.1, 9], ITEMS + 1).astype(np.float32) if boosted else None
    asked, users = interests(rng, PARTS), queries(rng)
    scores = ItemScores(opened, RecommendConfig(), allowed=None, boosts=boosts)
    exact = scores.best(asked, users, whole=True)
    product = ranking.best_scores
    lengths = np.linalg.norm(opened.vectors, axis=1) * opened.scale

    def rounded(interests: Floats, *given: Any) -> Floats:
        off = 1e-5 * np.linalg.norm(interests, axis=2).max(axis=1)[:, None] * lengths
        return product(interests, *given) + rng.uniform(-1, 1, off.shape).astype(np.float32) * off.astype(np.float32)

    monkeypatch.setattr(ranking, "best_scores", rounded)
    assert scores.best(asked, users, whole=True) == exact


def test_a_stream_gives_the_lines_of_single_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(item=f"B{at:09}", title=f"Thing {at}", categories=["tea", "fish"][at % 2 :]) for at in range(1, 601)]
    path = write_named_model(tmp_path / "model", items)
    lines = write_queries(tmp_path / "queries.jsonl", 600, 30)
    monkeypatch.setattr(item_scores, "MANY", 1)
    stream = Session(path, RecommendConfig(k=6))
    together = b"".join(stream.stream(lines)).splitlines(keepends=True)
    assert stream.recommender.item_scores._near is not None
    monkeypatch.setattr(item_scores, "MANY", 1 << 30)
    single = Session(path, RecommendConfig(k=6))
    asked = [jsonl.decode(line, Query, file=lines, number=1) for line in lines.read_bytes().splitlines()]
    assert together == [single.lines([single.resolver.resolve(query)])[0] for query in asked]


@pytest.mark.parametrize("least", [None, 0.3])
def test_the_best_of_pairs_are_those_of_whole_rows(least: float | None) -> None:
    rng = np.random.default_rng(5)
    # of few values, so that many are equal; in the third row nothing may be listed, in the fourth less than is wanted
    scores = rng.integers(0, 9, size=(6, 40)).astype(np.float32) / 8
    scores[:, 0] = scores[2] = scores[3, 4:] = -np.inf
    rows, items = np.nonzero(np.isfinite(scores))
    order = np.lexsort((rng.permutation(len(items)), rows))
    rows, items = rows[order], items[order]
    found = top_pairs(rows, items, scores[rows, items], len(scores), 10, least)
    assert found == top_items(scores, 10, least)
    with pytest.raises(ModelError, match="no number"):
        top_pairs(rows[:1], items[:1], np.array([np.nan], np.float32), 1, 10, None)
