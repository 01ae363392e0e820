"""What must hold for metrics whatever the lists and targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eimf_core.evaluation import statistics
from eimf_core.evaluation.metrics import accuracy as metrics

NAMES = sorted(metrics.ACCURACY)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """A list of distinct items, distinct targets, and a cutoff within the list."""
    items = draw(st.permutations(range(1, draw(st.integers(3, 25)) + 1)))
    targets = draw(st.lists(st.sampled_from(sorted(items)), min_size=1, unique=True))
    length = draw(st.integers(1, len(items)))
    return list(items[:length]), sorted(targets), draw(st.integers(1, length))


def value(name: str, items: list[int], targets: list[int], k: int) -> float:
    hits = metrics.find_hits(np.array([items]), np.zeros(len(targets), dtype=int), np.array(sorted(targets)), 2000)
    return float(metrics.ACCURACY[name](hits, np.array([len(targets)]), k)[0])


@pytest.mark.parametrize("name", NAMES)
@given(case=ranked())
def test_between_0_and_1(name: str, case: tuple[list[int], list[int], int]) -> None:
    assert 0 <= value(name, *case) <= 1 + 1e-12


@pytest.mark.parametrize("name", NAMES)
@given(case=ranked())
def test_a_perfect_list_scores_1_and_a_list_of_misses_0(name: str, case: tuple[list[int], list[int], int]) -> None:
    _, targets, _ = case
    rest = [item for item in range(1, 40) if item not in targets]
    assert value(name, targets + rest, targets, len(targets)) == pytest.approx(1)
    assert value(name, rest, targets, len(rest)) == 0


@pytest.mark.parametrize("name", NAMES)
@given(case=ranked(), offset=st.integers(1, 900), seed=st.integers(0, 99))
def test_renaming_items_changes_nothing(
    name: str, case: tuple[list[int], list[int], int], offset: int, seed: int
) -> None:
    items, targets, k = case
    new = np.random.default_rng(seed).permutation(1000) + offset
    renamed = [int(new[item]) for item in items], [int(new[item]) for item in targets], k
    assert value(name, *renamed) == value(name, *case)


@pytest.mark.parametrize("name", NAMES)
@given(case=ranked())
def test_an_appended_miss_changes_nothing(name: str, case: tuple[list[int], list[int], int]) -> None:
    items, targets, k = case
    assert value(name, [*items, 1999], targets, k) == value(name, items, targets, k)
    if name != "precision" and len(targets) <= len(items):
        # the longer cutoff sees nothing but the miss
        longer = value(name, [*items, 1999], targets, len(items) + 1)
        assert longer == pytest.approx(value(name, items, targets, len(items)))


@pytest.mark.parametrize("name", ["recall", "hit_rate", "mrr"])
@given(case=ranked())
def test_grows_with_k(name: str, case: tuple[list[int], list[int], int]) -> None:
    items, targets, _ = case
    values = [value(name, items, targets, k) for k in range(1, len(items) + 1)]
    assert values == sorted(values)


@pytest.mark.parametrize("name", NAMES)
@given(case=ranked())
def test_moving_a_hit_up_never_hurts(name: str, case: tuple[list[int], list[int], int]) -> None:
    items, targets, k = case
    for place in range(1, len(items)):
        if items[place] in targets and items[place - 1] not in targets:
            moved = [*items]
            moved[place - 1 : place + 1] = moved[place], moved[place - 1]
            if name == "ndcg_hits" and place == k:
                continue  # not monotone at the border: one reason why it is not the standard
            assert value(name, moved, targets, k) >= value(name, items, targets, k) - 1e-12


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_never_lowers(p: list[float]) -> None:
    given_p = np.array(p)
    corrected = statistics.holm(given_p)
    assert (corrected >= given_p - 1e-15).all() and (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(given_p, kind="stable")]) >= 0).all()
    assert corrected.min() == pytest.approx(min(1, len(p) * given_p.min()))
