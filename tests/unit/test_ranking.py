"""Scores and top-k: order, ties, masks, and errors for scores that are no numbers."""

import numpy as np
import pytest

from eimf_core.numeric import ranking
from tests.rounding import rounds_by_place


def test_top_k_equals_a_full_sort_with_ties_by_index() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 5, size=(20, 31)).astype(np.float32)
    scores[:, 0] = -np.inf
    expected = [sorted(range(31), key=lambda item: (-row[item], item))[:7] for row in scores]
    np.testing.assert_array_equal(ranking.top_k(scores, 7), expected)


def test_constant_scores_give_the_first_items() -> None:
    scores = np.ones((2, 9), dtype=np.float32)
    scores[:, 0] = -np.inf
    ranking.drop(scores, [np.array([1, 3]), np.array([], dtype=np.int64)])
    np.testing.assert_array_equal(ranking.top_k(scores, 3), [[2, 4, 5], [1, 2, 3]])


def test_no_more_than_all_items_and_never_the_padding() -> None:
    scores = np.array([[-np.inf, 1, 3, 2]], dtype=np.float32)
    for k in (3, 4, 10):
        np.testing.assert_array_equal(ranking.top_k(scores, k), [[2, 3, 1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_name_the_row(bad: float) -> None:
    scores = np.zeros((3, 4), dtype=np.float32)
    scores[1, 2] = bad
    with pytest.raises(ValueError, match="not finite") as caught:
        ranking.top_k(scores, 2)
    assert caught.value.args[1] == 1


@pytest.mark.parametrize("values", [2, 5, 40, 100_000])
@pytest.mark.parametrize("width", [31, 700, 2_003])
@pytest.mark.parametrize("shuffled", [False, True])
def test_top_k_equals_a_full_sort_on_wide_rows(values: int, width: int, shuffled: bool) -> None:
    rng = np.random.default_rng(values + width)
    scores = rng.integers(0, values, size=(40, width)).astype(np.float32)
    scores[:, 0] = -np.inf
    scores[3, :] = -np.inf
    scores[4, 9:] = -np.inf
    priority = rng.permutation(width) if shuffled else None
    order = np.arange(width) if priority is None else priority
    for k in (1, 10, 20):
        expected = np.stack([np.lexsort((order, -row))[:k] for row in scores])
        found = ranking.top_k(scores, k, priority)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("column", [1, 1_000, 2_002])
def test_scores_that_are_no_numbers_name_the_row_of_a_wide_array(bad: float, column: int) -> None:
    scores = np.zeros((3, 2_003), dtype=np.float32)
    scores[2, column] = bad
    with pytest.raises(ValueError, match="not finite") as caught:
        ranking.top_k(scores, 5)
    assert caught.value.args[1] == 2


def test_best_scores_and_sources_are_the_largest_products_and_their_places() -> None:
    rng = np.random.default_rng(2)
    interests = rng.normal(size=(6, 3, 4)).astype(np.float32)
    vectors = rng.normal(size=(50, 4)).astype(np.float32)
    scale = rng.uniform(0.5, 2, size=50).astype(np.float32)
    scores = ranking.best_scores(interests, vectors, scale)
    products = np.einsum("bkd,nd->bkn", interests, vectors)
    np.testing.assert_allclose(scores[:, 1:], (products.max(axis=1) * scale)[:, 1:], rtol=1e-5)
    assert np.isneginf(scores[:, 0]).all()
    items = ranking.top_k(scores, 7)
    expected = np.take_along_axis(products.argmax(axis=1), items, axis=1)
    np.testing.assert_array_equal(ranking.sources(interests, vectors, items), expected)


def test_no_rows_give_no_lists() -> None:
    assert ranking.top_k(np.zeros((0, 9), dtype=np.float32), 3).shape == (0, 3)
    assert ranking.top_k(np.zeros((0, 9_000), dtype=np.float32), 3).shape == (0, 3)


@pytest.mark.parametrize("number", [1, 4])
def test_a_score_does_not_depend_on_who_is_asked_beside(number: int) -> None:
    rng = np.random.default_rng(4)
    interests = rng.normal(size=(40, number, 64)).astype(np.float32)
    vectors = rng.normal(size=(1_201, 64)).astype(np.float32)
    together = ranking.best_scores(interests, vectors)
    for rows in (1, 3):
        alone = [ranking.best_scores(interests[at : at + rows], vectors) for at in range(0, 40, rows)]
        found = np.concatenate(alone)
        if rounds_by_place():
            np.testing.assert_allclose(found, together, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(found, together)


@pytest.mark.parametrize("parts", [[], [(32, 4), (32, 1)]])
def test_scores_of_pairs_are_the_same_whatever_else_is_asked(
    parts: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(9)
    interests = rng.normal(size=(40, 4, 64)).astype(np.float32)
    interests[:, :, 32:] = interests[:, :1, 32:]
    vectors, scale = rng.normal(size=(1_201, 64)).astype(np.float32), rng.random(1_201, dtype=np.float32)
    rows, items = np.sort(rng.integers(0, 40, 500)), rng.integers(1, 1_201, 500)
    together = ranking.scores_of_pairs(interests, vectors, rows, items, scale, parts)
    np.testing.assert_allclose(
        together, ranking.best_scores(interests, vectors, scale)[rows, items], rtol=1e-5, atol=1e-5
    )
    assert len(ranking.scores_of_pairs(interests, vectors, rows[:0], items[:0], scale, parts)) == 0
    monkeypatch.setattr(ranking, "FEW", 7)
    np.testing.assert_array_equal(ranking.scores_of_pairs(interests, vectors, rows, items, scale, parts), together)
    for at in range(0, 500, 50):
        one = slice(at, at + 1)
        alone = ranking.scores_of_pairs(interests[rows[one]], vectors, np.zeros(1, int), items[one], scale, parts)
        assert alone[0] == together[at]


@pytest.mark.parametrize("width, k", [(24, 10), (64, 10), (3008, 10), (3008, 1), (3027, 10)])
def test_the_best_are_among_those_that_may_be(width: int, k: int) -> None:
    rng = np.random.default_rng(6)
    scores = rng.normal(size=(9, width)).astype(np.float32)
    scores[:, 0] = -np.inf
    # fewer items than asked for, and the best behind the last whole group
    scores[3, 5:] = -np.inf
    scores[4, -1] = 9
    off = np.linspace(0, 0.2, 9).astype(np.float32)
    rows, items = ranking.near_best(scores, k, off)
    assert (np.diff(rows) >= 0).all() and np.isfinite(scores[rows, items]).all()
    pairs = set(zip(rows.tolist(), items.tolist(), strict=True))
    assert len(pairs) == len(rows)
    # whatever the exact scores are
    for _ in range(20):
        exact = scores + rng.uniform(-1, 1, scores.shape).astype(np.float32) * off[:, None]
        best = ranking.top_k(exact, k)
        wanted = {(row, at) for row in range(9) for at in best[row].tolist() if np.isfinite(exact[row, at])}
        assert wanted <= pairs
    if width > 64:
        assert len(pairs) < 9 * width // 10


def test_sources_of_parts_are_those_of_all_interests() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(2, 30, 4, 16)).astype(np.float32)
    joint = np.concatenate([np.repeat(first, 4, axis=1), np.tile(second, (1, 4, 1))], axis=2)
    vectors = rng.normal(size=(90, 32)).astype(np.float32)
    items = rng.integers(1, 90, size=(30, 7))
    found = ranking.sources(joint, vectors, items, [(16, 4), (16, 4)])
    np.testing.assert_array_equal(found, ranking.sources(joint, vectors, items))
    assert len(np.unique(found)) == 16
