"""Intervals and tests against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from eimf_core.evaluation import statistics


def test_bootstrap_interval_of_a_mean_is_that_of_theory() -> None:
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(2000, 2)).astype(np.float32)
    drawn = statistics.bootstrap_means(values, 4000, np.random.default_rng(1))
    error = values.std(axis=0) / np.sqrt(len(values))
    np.testing.assert_allclose(drawn.std(axis=0), error, rtol=0.05)
    np.testing.assert_allclose(drawn.mean(axis=0), values.mean(axis=0), atol=4 * error.max() / np.sqrt(4000))
    low, high = statistics.interval(drawn)
    np.testing.assert_allclose(high - low, 2 * 1.96 * error, rtol=0.06)


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        values = (rng.random((150, 1)) < 0.3).astype(np.float32)
        low, high = statistics.interval(statistics.bootstrap_means(values, 400, rng))
        covered += bool(low[0] <= 0.3 <= high[0])
    assert 0.90 <= covered / 300 <= 0.98


def test_columns_see_the_same_draws() -> None:
    values = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    drawn = statistics.bootstrap_means(np.concatenate([values, values + 1], axis=1), 200, np.random.default_rng(1))
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], 1, rtol=1e-5)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(threads: int) -> None:
    values = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    for function in (statistics.bootstrap_means, statistics.randomisation_p):
        alone = function(values, 1000, np.random.default_rng(1))
        np.testing.assert_array_equal(alone, function(values, 1000, np.random.default_rng(1), threads))


def test_randomisation_test_agrees_with_all_sign_flips() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1, size=(12, 1)).astype(np.float32)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 12)).reshape(12, -1)
    sums = np.abs((signs * differences).sum(axis=0))
    exact = (sums >= abs(differences.sum()) - 1e-5).mean()
    p = statistics.randomisation_p(differences, 40_000, np.random.default_rng(0))
    assert p[0] == pytest.approx(exact, abs=0.01)


def test_randomisation_test_agrees_with_the_t_test_and_with_equality() -> None:
    rng = np.random.default_rng(4)
    differences = np.stack([rng.normal(0.06, 1, 1500), np.zeros(1500), rng.normal(1, 1, 1500)], axis=1)
    p = statistics.randomisation_p(differences.astype(np.float32), 20_000, np.random.default_rng(0))
    assert p[0] == pytest.approx(stats.ttest_1samp(differences[:, 0], 0).pvalue, abs=0.02)
    assert p[1] == 1
    assert p[2] == pytest.approx(1 / 20_001)
    assert statistics.randomisation_p(np.zeros((5, 2), np.float32), 100, rng).tolist() == [1, 1]


def test_false_alarms_are_as_rare_as_they_should_be() -> None:
    rng = np.random.default_rng(5)
    null = rng.choice([-1, 0, 0, 1], size=(400, 300)).astype(np.float32)
    p = statistics.randomisation_p(null, 2000, rng)
    assert 0.02 <= (p < 0.05).mean() <= 0.09


def test_holm() -> None:
    np.testing.assert_allclose(statistics.holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm(np.array([0.6, 0.4])), [0.8, 0.8])
    assert statistics.holm(np.array([0.6, 0.9])).tolist() == [1, 1], "no more than certain"


def test_fewer_resamples_of_very_many_users() -> None:
    assert statistics.resamples_for(100_000, 10_000) == 10_000
    assert statistics.resamples_for(1_000_000, 10_000) == 2_000
    assert statistics.resamples_for(50_000_000, 10_000) == 1_000
    assert statistics.resamples_for(50, 300) == 300


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(5)
    spread = np.array([[0.2, 1.0]])
    differences = rng.normal(size=(166, 2)) * spread
    size = statistics.detectable(differences.astype(np.float32))
    # many samples of so many users, with a true difference of this size
    drawn = rng.normal(size=(2000, 166, 2)) * differences.std(axis=0, ddof=1) + size
    found = stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
    np.testing.assert_allclose(found.mean(axis=0), 0.8, atol=0.03)
    assert np.isnan(statistics.detectable(differences[:1].astype(np.float32))).all()
