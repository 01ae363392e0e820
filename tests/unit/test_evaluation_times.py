"""A model that reads times gets them alike from training's validation, from eval and from recommend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.evaluation import eval_users
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.evaluation.measure import MeasurePlan, rank
from eimf_core.evaluation.scorers import ModelSystem
from eimf_core.io import jsonl
from eimf_core.progress import SILENT
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Sequence
from eimf_core.training import train as training
from eimf_core.training.config import TrainConfig
from eimf_core.training.loop import TrainingSummary
from tests.recommend_models import answered
from tests.small_data import write_small_data
from tests.small_training import SMALL


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, TrainingSummary]:
    """Data with times, a pimi trained on it, and what training said of it."""
    folder = tmp_path_factory.mktemp("timed")
    data = write_small_data(folder, times=True)
    wanted = TrainConfig(**{**SMALL, "backbone": "pimi", "epochs": 4, "learning_rate": 0.05})
    return data, folder / "model", training.train(data, folder / "model", wanted)


def test_validation_and_eval_give_one_figure(trained: tuple[Path, Path, TrainingSummary]) -> None:
    data, model, summary = trained
    found = evaluate([model], data, EvalConfig(split="valid", k=[10], resamples=100, baselines="none"))
    (ndcg,) = (record.value for record in found.records if record.metric == "ndcg")
    assert summary.ndcg == pytest.approx(ndcg, abs=1e-6)


def test_eval_and_recommend_make_one_list(trained: tuple[Path, Path, TrainingSummary]) -> None:
    folder, model, _ = trained
    data = dataset.load(folder, ("train", "test"))
    system = ModelSystem(model, data)
    cases = eval_users.select(data, "test", "drop", [system.known])
    plan = MeasurePlan(
        ks=[5], metrics=["recall"], seen="drop", priority=np.arange(25)
    )  # fmt: skip
    everyone = list(range(len(cases)))
    lists, scored, _ = rank(system, cases, everyone, plan)
    session = Session(model, RecommendConfig(k=5), reporter=SILENT)
    lines = {line.user: line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split == "test"}
    for case in everyone:
        line = lines[cases.user(case)]
        asked = RecommendRequest(user=line.user, sequences=folder, as_tested=True).query()
        assert asked.times == line.times
        listed = [item.item for item in answered(session, asked).items]
        assert listed == [data.items[item - 1].item for item in lists[case]]
    # the times are not idle: without them, and with others, the scores are different ones
    untimed = replace(cases, split=replace(cases.split, times=None))
    assert cases.split.times is not None
    squeezed = replace(cases, split=replace(cases.split, times=cases.split.times / 1000))
    for other in (untimed, squeezed):
        _, without, _ = rank(system, other, everyone, plan)
        shown = np.isfinite(scored.values)
        assert np.abs(scored.values[shown] - without.values[shown]).max() > 1e-3


def test_times_of_items_the_model_does_not_know_are_left_out_with_them(
    trained: tuple[Path, Path, TrainingSummary],
) -> None:
    folder, model, _ = trained
    data = dataset.load(folder, ("train", "test"))
    system = ModelSystem(model, data)
    whole, times = np.array([3, 7, 9, 2]), np.array([0.0, 4e6, 5e6, 9e6])
    system._rows[7] = 0
    kept = np.array([0, 2, 3])
    without, _ = system.interests([whole], [times])
    alone, _ = system.interests([whole[kept]], [times[kept]])
    np.testing.assert_array_equal(without, alone)
