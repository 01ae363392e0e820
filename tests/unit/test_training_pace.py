"""The learning rate over time: its formulas, and that a run's steps really are as large as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eimf_core.errors import ConfigError
from eimf_core.training.config import TrainConfig
from eimf_core.training.learning_rate import FLOOR, pace
from eimf_core.training.run_state import Progress
from eimf_core.training.validation import Figures
from tests.small_training import SMALL, small_run


def at(kind: str, epochs: float = 1.0, *, warm_up: float = 0.0, share: float = 0.0, waits: int = 0) -> float:
    return pace(kind, epochs=epochs, warm_up=warm_up, share=share, waits=waits)


def test_each_schedule_follows_its_formula() -> None:
    assert at("constant", share=0.9, waits=3) == 1.0
    assert [at("linear", share=share) for share in (0.0, 0.25, 1.0)] == [1.0, 0.75, FLOOR]
    assert [at("plateau", share=0.9, waits=waits) for waits in (0, 1, 3)] == [1.0, 0.5, 0.125]
    assert at("plateau", waits=50) == FLOOR
    for kind in ("constant", "linear", "plateau"):
        assert 0.0 < at(kind, 0.0, warm_up=2.0) < 0.01
        assert at(kind, 1.0, warm_up=2.0) == pytest.approx(0.5, abs=0.01)
        assert at(kind, 5.0, warm_up=2.0) == 1.0


def test_progress_tells_what_is_used_up_and_what_brought_nothing() -> None:
    progress = Progress(TrainConfig(epochs=10))
    assert (progress.share(2.5), progress.waits) == (0.25, 0)
    for ndcg in (0.1, 0.3, 0.2, 0.3, 0.4, 0.1):
        progress.end_epoch(Figures(ndcg, 0.0), padding=0.0)
    assert progress.waits == 3
    limited = Progress(TrainConfig(epochs=10, max_minutes=2.0))
    limited._seconds = 90.0
    assert limited.share(0.5) == 0.75 and limited.share(9.0) == 0.9


def test_steps_shrink_as_the_schedule_says(tmp_path: Path) -> None:
    run = small_run(tmp_path / "data", schedule="linear", warm_up=0.5, epochs=2)
    paces: list[float] = []
    set_pace = run.learner.set_pace

    def noted(factor: float) -> None:
        set_pace(factor)
        paces.append(factor)
        rates = [group["lr"] for group in run.learner._dense_optimiser.param_groups]  # type: ignore[union-attr]
        assert rates == [run.learner._row_optimiser.rate] == [SMALL["learning_rate"] * factor]

    run.learner.set_pace = noted  # type: ignore[method-assign]
    run.go()
    top = max(paces)
    assert paces[0] < 0.05 and paces[-1] < 0.1 and 0.7 < top < 0.8
    assert paces[paces.index(top) :] == sorted(paces[paces.index(top) :], reverse=True)


@pytest.mark.parametrize("changes", [{"schedule": "cosine"}, {"warm_up": -1.0}])
def test_wrong_settings_are_told(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"--(schedule|warm-up)"):
        TrainConfig(**changes)
