"""What all steps share: unit vectors, threads, padding, numbers of categories."""

from __future__ import annotations

import numpy as np
import pytest

from eimf_core import threads
from eimf_core.numeric.category_numbers import numbered
from eimf_core.numeric.padding import FILLED, length_groups, padded, spans
from eimf_core.numeric.vectors import MIN_LENGTH, SHORTEST, mean_pairwise_cosine, row_lengths, unit_rows


def test_unit_rows_have_length_one_and_rows_without_a_direction_are_zero() -> None:
    rows = np.array([[3, 4], [0, 0], [SHORTEST / 2, 0], [-1e-3, 0]])
    for vectors in (rows, rows.astype(np.float32), rows[None]):
        made = unit_rows(vectors)
        assert made.dtype == np.float32
        np.testing.assert_allclose(made.reshape(4, 2), [[0.6, 0.8], [0, 0], [0, 0], [-1, 0]], rtol=1e-6)
        lengths = row_lengths(vectors)
        assert lengths.dtype == vectors.dtype and lengths.shape == vectors.shape[:-1]
        np.testing.assert_allclose(lengths.ravel(), [5, MIN_LENGTH, SHORTEST / 2, 1e-3], rtol=1e-6)


def test_mean_pairwise_cosine_is_the_mean_over_pairs() -> None:
    vectors = np.random.default_rng(3).standard_normal((4, 3, 5)).astype(np.float32)
    unit = unit_rows(vectors)
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = np.mean([(unit[:, one] * unit[:, other]).sum(axis=1) for one, other in pairs], axis=0)
    np.testing.assert_allclose(mean_pairwise_cosine(vectors), expected, atol=1e-6)
    assert np.isnan(mean_pairwise_cosine(vectors[:, :1])).all()


@pytest.mark.parametrize(("told", "most", "expected"), [("3", None, 3), ("3", 2, 2), ("", 64, 4), ("0", 2, 2)])
def test_threads_are_those_of_the_environment_or_the_processors_at_hand(
    told: str, most: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert threads.default(most) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # prepare, train, eval, recommend and serve, label; of 12 processors
        ("", [8, 6, 12, 8, 12]),
        ("3", [8, 3, 3, 3, 3]),
        ("40", [8, 40, 12, 8, 12]),
    ],
)
def test_each_step_has_its_rule_of_threads(told: str, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 12)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    rules = (
        threads.for_reading, threads.for_training, threads.for_measuring, threads.for_answers,
        threads.for_language_model,
    )  # fmt: skip
    assert [rule() for rule in rules] == expected
    monkeypatch.setattr(threads, "cores", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert [rule() for rule in rules] == [1] * 5


def test_rows_are_filled_up_at_the_end() -> None:
    assert padded([[1, 2, 3], [], [4]]).tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert padded([[], []], np.float32).shape == (2, 0)
    assert padded([[1.5], [1, 2]], np.float32, fill=-1).tolist() == [[1.5, -1], [1, 2]]
    row = np.array([4, 5], np.int32)
    alone = padded([row])
    alone[0, 0] = 9
    assert alone.dtype == np.int64 and alone.shape == (1, 2) and row[0] == 4 and padded([[]]).shape == (1, 0)


def test_rows_of_like_lengths_are_grouped() -> None:
    lengths = np.random.default_rng(0).integers(1, 51, 300)
    groups = list(length_groups(lengths))
    assert sorted(np.concatenate([rows for rows, _ in groups])) == list(range(300)) and len(groups) < 10
    for rows, longest in groups:
        assert lengths[rows].max() == longest and lengths[rows].min() >= FILLED * longest
    assert [(rows.tolist(), longest) for rows, longest in length_groups(np.array([7]))] == [([0], 7)]


def test_spans_point_into_the_flat_array() -> None:
    places, there = spans(np.array([4, 0]), np.array([1, 3]))
    assert places.tolist() == [[4, 0, 0], [0, 1, 2]]
    assert there.tolist() == [[True, False, False], [True, True, True]]


def test_categories_are_numbered_once_each() -> None:
    names, numbers, bounds = numbered([["b", "a", "b"], [], ["a"]])
    assert (names, numbers.tolist(), bounds.tolist()) == (["b", "a"], [0, 1, 1], [0, 2, 2, 3])
    names, numbers, bounds = numbered([["b", "a"], ["a"]], names=["c", "a"])
    assert (names, numbers.tolist(), bounds.tolist()) == (["c", "a"], [1, 1], [0, 1, 2])
    assert numbered([])[2].tolist() == [0]
