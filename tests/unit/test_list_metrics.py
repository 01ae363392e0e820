"""What lists are like, against plain loops: novelty, popularity, diversity, coverage, Gini, use of interests."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.evaluation.metrics import aggregate_metrics, interest_metrics, list_metrics
from eimf_core.io import jsonl
from eimf_core.records import Item, Sequence

CATEGORIES = {1: {"a"}, 2: {"a", "b"}, 3: {"b", "c"}, 4: set(), 5: {"c"}, 6: {"a", "c"}}
TRAIN = {"u": [1, 1, 2, 3], "v": [1, 2], "w": [1, 5], "x": [2]}
LISTS = np.array([[1, 2, 3, 4], [6, 5, 0, 0], [4, 1, 0, 0], [0, 0, 0, 0]])


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> list_metrics.CatalogueFacts:
    folder = tmp_path_factory.mktemp("lists")
    items = [Item(item=str(at), title="x", categories=sorted(names)) for at, names in CATEGORIES.items()]
    jsonl.write(folder / "items.jsonl", items)
    lines = [Sequence(user=user, split="train", items=list(map(str, bought))) for user, bought in TRAIN.items()]
    jsonl.write(folder / "sequences.jsonl", lines)
    texts = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    return list_metrics.catalogue_facts(dataset.load(folder, ("train",)), texts)


def rows(k: int) -> list[list[int]]:
    return [[item for item in row[:k] if item] for row in LISTS.tolist()]


def check(values: np.ndarray, expected: list[float]) -> None:
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_novelty_and_popularity(facts: list_metrics.CatalogueFacts, k: int) -> None:
    owners = {item: max(1, sum(item in bought for bought in TRAIN.values())) for item in CATEGORIES}
    counts = {item: sum(bought.count(item) for bought in TRAIN.values()) for item in CATEGORIES}
    check(
        list_metrics.novelty(LISTS, facts, k),
        [np.mean([math.log2(4 / owners[item]) for item in row]) if row else math.nan for row in rows(k)],
    )
    check(
        list_metrics.popularity(LISTS, facts, k),
        [np.mean([counts[item] for item in row]) if row else math.nan for row in rows(k)],
    )


@pytest.mark.parametrize("k", [2, 3, 4])
def test_diversity(facts: list_metrics.CatalogueFacts, k: int) -> None:
    def by_category(one: int, other: int) -> float:
        shared = len(CATEGORIES[one] & CATEGORIES[other])
        return 1 - shared / math.sqrt(len(CATEGORIES[one]) * len(CATEGORIES[other]))

    assert facts.texts is not None
    texts = facts.texts.astype(float)
    for values, distance, counted in (
        (list_metrics.diversity_category(LISTS, facts, k), by_category, lambda item: bool(CATEGORIES[item])),
        (list_metrics.diversity_text(LISTS, facts, k), lambda a, b: 1 - float(texts[a] @ texts[b]), lambda _: True),
    ):
        expected = []
        for row in rows(k):
            pairs = list(combinations([item for item in row if counted(item)], 2))
            expected.append(np.mean([distance(*pair) for pair in pairs]) if pairs else math.nan)
        check(values, expected)


def test_coverage_and_gini() -> None:
    recommended = np.array([0, 3, 0, 1, 4])  # result 0 is padding
    assert aggregate_metrics.coverage(recommended) == 0.75
    counts = recommended[1:]
    pairs = sum(abs(int(a) - int(b)) for a in counts for b in counts)
    assert aggregate_metrics.gini(recommended) == pytest.approx(pairs / (2 * len(counts) * counts.sum()))
    assert aggregate_metrics.gini(np.array([9, 2, 2, 2])) == pytest.approx(0)
    assert aggregate_metrics.gini(np.array([0, 0, 0, 100])) == pytest.approx(2 / 3)


def lists_of(users: int, rng: np.random.Generator) -> np.ndarray:
    """Each user has 5 of 200 items, some of them much more often than others."""
    chance = 1 / np.arange(1, 201)
    return np.stack([rng.choice(200, 5, replace=False, p=chance / chance.sum()) + 1 for _ in range(users)])


def figures_of(lists: np.ndarray) -> dict[str, aggregate_metrics.AggregateValue]:
    return aggregate_metrics.list_aggregates(np.bincount(lists.ravel(), minlength=201), lists.astype(np.int32))


def test_what_a_user_moves_is_what_is_lost_without_him() -> None:
    lists = lists_of(60, np.random.default_rng(2))
    whole = figures_of(lists)
    without = [figures_of(np.delete(lists, user, axis=0)) for user in range(len(lists))]
    for name, exactness in (("coverage", 1e-12), ("gini", 5e-4)):
        left = np.array([whole[name].value - other[name].value for other in without])
        np.testing.assert_allclose(whole[name].influence, left, atol=exactness)
        assert np.corrcoef(whole[name].influence, left)[0, 1] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coverage", "gini"])
def test_the_interval_of_a_total_holds_what_other_users_give(name: str) -> None:
    rng = np.random.default_rng(3)
    drawn = [figures_of(lists_of(150, rng))[name] for _ in range(200)]
    expected = np.mean([figure.value for figure in drawn])
    intervals = [aggregate_metrics.jackknife_interval(figure.value, figure.influence, 150) for figure in drawn]
    held = np.mean([low <= expected <= high for low, high in intervals])
    assert held > 0.9
    # wider than needed, as the jackknife is, but not by much
    assert 1 < np.mean([high - low for low, high in intervals]) / (3.92 * np.std([f.value for f in drawn])) < 1.5
    # from some of the users alone it is about the same
    some = aggregate_metrics.jackknife_interval(drawn[0].value, drawn[0].influence[:75], 150)
    np.testing.assert_allclose(some, intervals[0], atol=0.02)


def test_only_so_many_lists_are_kept() -> None:
    assert (
        aggregate_metrics.sampled_users(7, 20).tolist() == list(range(7))
        and len(aggregate_metrics.sampled_users(0, 20)) == 0
    )
    many = aggregate_metrics.sampled_users(1_000_000, 20)
    assert len(many) == 500_000 and (np.diff(many) > 0).all() and many[-1] > 999_000


def test_interests_alike_and_their_shares() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(6, 3, 4)).astype(np.float32)
    expected = [
        np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(user, 2)]) for user in vectors
    ]
    check(interest_metrics.interest_cosine(vectors), expected)
    assert np.isnan(interest_metrics.interest_cosine(vectors[:, :1])).all()
    use = interest_metrics.InterestUse(3, 3, [1, 2])
    sources = np.array([[0, 1], [2, 2]], dtype=np.int8)
    use.add(np.array([2, 0]), sources, np.array([[5, 6], [7, 0]]), np.array([[True, False], [False, False]]))
    np.testing.assert_array_equal(interest_metrics.interest_places(use, 2), [[0, 0, 1], [0, 0, 0], [1, 1, 0]])
    check(interest_metrics.shares(interest_metrics.interest_places(use, 2)), [1 / 3, 1 / 3, 1 / 3])
    check(interest_metrics.shares(interest_metrics.interest_places(use, 1)), [1 / 2, 0, 1 / 2])
    check(interest_metrics.shares(interest_metrics.interest_hits(use, 2)), [1, 0, 0])
    check(interest_metrics.shares(np.zeros((2, 3), np.int16)), [0, 0, 0])
