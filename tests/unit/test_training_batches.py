"""Batches and negatives: every pair once an epoch, nothing of the future, seeded, with little padding."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from eimf_core.dataset import SplitData
from eimf_core.training import negatives
from eimf_core.training.batches import Batch, Batches, Epoch

LENGTHS = [0, 1, 2, 3, 5, 6, 7, 13, 30]
MAX_LENGTH = 6


def split(lengths: list[int]) -> SplitData:
    """Users whose items are all distinct: user u has 100 u + 1, 100 u + 2 …"""
    items = [np.arange(1, length + 1, dtype=np.int32) + 100 * user for user, length in enumerate(lengths)]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    none = np.zeros(0, dtype=np.int32)
    return SplitData(
        users=[str(user) for user in range(len(lengths))],
        offsets=offsets,
        items=np.concatenate(items),
        target_offsets=np.zeros(len(lengths) + 1, dtype=np.int64),
        targets=none,
        times=None,
    )


def batches_of(epoch: Epoch) -> list[Batch]:
    return [epoch.batch(number) for number in range(len(epoch))]


def pairs(batch: Batch) -> list[tuple[tuple[int, ...], int]]:
    """(History, target) pairs of a batch: what stands before and at a position, and what follows it."""
    found = []
    for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
        for place in np.flatnonzero(targets):
            found.append((tuple(inputs[: place + 1].tolist()), int(targets[place])))
    return found


@pytest.fixture(params=[False, True], ids=["windows", "single"])
def single(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_every_pair_once_an_epoch_and_nothing_of_the_future(single: bool) -> None:
    batches = Batches(split(LENGTHS), max_length=MAX_LENGTH, pairs=10, single=single)
    wanted = Counter(100 * user + place for user, length in enumerate(LENGTHS) for place in range(2, length + 1))
    for seed in range(5):
        epoch = batches.epoch(np.random.default_rng(seed))
        found = [pair for batch in batches_of(epoch) for pair in pairs(batch)]
        assert Counter(target for _, target in found) == wanted
        for history, target in found:
            assert 1 <= len(history) <= MAX_LENGTH
            # neighbours of the same user, up to the item before the target: no padding within, no future
            assert history == tuple(range(target - len(history), target))


def test_single_rows_have_the_longest_history_and_one_target() -> None:
    batches = Batches(split(LENGTHS), max_length=MAX_LENGTH, pairs=10, single=True)
    for batch in batches_of(batches.epoch(np.random.default_rng(0))):
        assert ((batch.targets > 0).sum(axis=1) == 1).all()
        for history, target in pairs(batch):
            assert len(history) == min(MAX_LENGTH, target % 100 - 1)


def test_a_sample_of_prefixes_keeps_users_with_few_and_bounds_the_rest() -> None:
    batches = Batches(split([3, 6, 300]), max_length=50, pairs=1000, single=True, per_window=8)
    numbers = [Counter(), Counter()]
    for seed in range(40):
        for batch in batches_of(batches.epoch(np.random.default_rng(seed))):
            for history, target in pairs(batch):
                assert len(history) == min(50, target - history[0]) and target == history[-1] + 1
                numbers[0][seed, target // 100 >= 2] += 1
                numbers[1][target] += 1
    assert all(numbers[0][seed, False] == 2 + 5 for seed in range(40))
    # 299 pairs of which 8 in 50 are drawn: 48 an epoch, and each now and then
    assert 40 < np.mean([numbers[0][seed, True] for seed in range(40)]) < 56
    assert len([target for target in numbers[1] if target > 200]) > 290


def test_windows_move_between_epochs() -> None:
    batches = Batches(split([40]), max_length=MAX_LENGTH, pairs=100, single=False)
    firsts = {tuple(sorted(batches.epoch(np.random.default_rng(seed)).starts.tolist())) for seed in range(20)}
    assert len(firsts) > 3


def test_an_epoch_depends_on_the_generator_alone(single: bool) -> None:
    batches = Batches(split(LENGTHS), max_length=MAX_LENGTH, pairs=10, single=single)
    one, other = (batches.epoch(np.random.default_rng(3)) for _ in range(2))
    # any batch can be made without the others
    for number in reversed(range(len(one))):
        assert np.array_equal(one.batch(number).inputs, other.batch(number).inputs)
    different = batches.epoch(np.random.default_rng(4))
    assert not np.array_equal(one.starts, different.starts)


def test_batches_have_the_size_asked_for_and_little_padding(single: bool) -> None:
    lengths = np.random.default_rng(0).geometric(0.1, size=3000).tolist()
    batches = Batches(split([min(length, 90) for length in lengths]), max_length=20, pairs=200, single=single)
    epoch = batches.epoch(np.random.default_rng(0))
    sizes = [int((batch.targets > 0).sum()) for batch in batches_of(epoch)]
    # the last row of a batch may start before the border and end behind it
    assert max(sizes) <= 200 + 20 and np.median(sizes) > 180
    cells = sum(batch.inputs.size for batch in batches_of(epoch))
    empty = sum(int((batch.inputs == 0).sum()) for batch in batches_of(epoch))
    assert epoch.padding == pytest.approx(empty / cells)
    assert epoch.padding < 0.05


def test_uniform_negatives_are_distinct_and_equally_likely() -> None:
    sampler, rng = negatives.Uniform(50, 10), np.random.default_rng(0)
    counts = np.zeros(51)
    for _ in range(3000):
        drawn = sampler.draw(rng)
        assert (np.diff(drawn.items) > 0).all() and len(drawn.items) == 10
        counts[drawn.items] += 1
    assert counts[0] == 0
    # 600 expected, standard deviation 22
    assert abs(counts[1:] - 600).max() < 5 * 22
    np.testing.assert_allclose(drawn.correction, np.log(50 / 10), rtol=1e-6)


def test_accidental_positives_are_found_all() -> None:
    rng = np.random.default_rng(0)
    drawn = np.unique(rng.integers(1, 60, size=30))
    targets = rng.integers(1, 70, size=200)
    rows, columns = negatives.accidental(drawn, targets)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (row, column) for row, target in enumerate(targets) for column, item in enumerate(drawn) if item == target
    ]
    assert (np.diff(rows) >= 0).all()
