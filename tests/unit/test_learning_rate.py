"""The learning rate over time: its formulas, and that a run's steps really are as large as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.errors import ConfigError
from eimf_core.training.config import TrainConfig
from eimf_core.training.learning_rate import FLOOR, factor
from eimf_core.training.run_state import RunState
from tests.small_training import SMALL, small_run


def test_each_schedule_follows_its_formula() -> None:
    assert [factor("constant", share) for share in (0.0, 0.9)] == [1.0, 1.0]
    assert [factor("linear", share) for share in (0.0, 0.25, 1.0)] == [1.0, 0.75, FLOOR]


def test_progress_tells_what_is_used_up() -> None:
    assert RunState(TrainConfig(epochs=10)).share(2.5) == 0.25
    limited = RunState(TrainConfig(epochs=10, max_minutes=2.0))
    limited.seconds = 90.0
    assert limited.share(0.5) == 0.75 and limited.share(9.0) == 0.9


def test_steps_shrink_as_the_schedule_says(tmp_path: Path) -> None:
    run = small_run(tmp_path / "data", schedule="linear", epochs=2)
    factors: list[float] = []
    set_rate = run.learner.set_rate

    def noted(factor: float) -> None:
        set_rate(factor)
        factors.append(factor)
        rates = [group["lr"] for group in run.learner._dense_optimiser.param_groups]  # type: ignore[union-attr]
        assert rates == [run.learner._row_optimiser.rate] == [SMALL["learning_rate"] * factor]

    run.learner.set_rate = noted  # type: ignore[method-assign]
    run.go()
    assert factors == sorted(factors, reverse=True) and factors[0] == 1.0 and FLOOR <= factors[-1] < 0.1


def test_wrong_settings_are_told() -> None:
    with pytest.raises(ConfigError, match="--schedule"):
        TrainConfig(schedule="cosine")  # type: ignore[arg-type]
