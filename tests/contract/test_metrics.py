"""What every metric keeps, whatever it measures: a formula in the glossary, a figure, its bounds."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import pytest

from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.evaluation.metrics import METRICS, ON_REQUEST, SETS, STANDARD, glossary
from eimf_core.records import Metric
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model

BOUNDS = {"novelty": (0, math.inf), "popularity": (0, math.inf), "interest_cosine": (-1, 1), "diversity_text": (0, 2)}
"""All others lie between 0 and 1."""


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Metric]]:
    folder = write_small_data(tmp_path_factory.mktemp("data"))
    from eimf_core import dataset

    items = dataset.load_items(folder / "items.jsonl")
    model: Path = write_small_model(folder / "model", items, taste_vectors(items))
    settings = EvalConfig(k=[3, 5], metrics=["all", *ON_REQUEST], baselines="fast", resamples=100)
    found: dict[str, list[Metric]] = {name: [] for name in METRICS}
    for record in evaluate([model], folder, settings).records:
        found[record.metric].append(record)
    return found


def test_sets_name_what_is_registered() -> None:
    assert set(STANDARD) <= set(SETS["all"]) == set(METRICS) - set(ON_REQUEST)
    assert EvalConfig(metrics=["all", *ON_REQUEST]).metrics == [*SETS["all"], *ON_REQUEST]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_formula_and_a_source_in_the_glossary(name: str) -> None:
    described = inspect.getdoc(METRICS[name]) or ""
    assert "Source:" in described or "own figure" in described
    assert f"\n{name}" in glossary.text() and described.splitlines()[0] in glossary.text()
    assert ("only by name" in glossary.text().split(f"\n{name} ")[-1].splitlines()[0]) == (name in ON_REQUEST)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_figure_within_its_bounds(name: str, records: dict[str, list[Metric]]) -> None:
    low, high = BOUNDS.get(name, (0, 1))
    assert records[name], "no figure"
    for record in (record for record in records[name] if record.compared_to is None):
        assert low - 1e-6 <= record.value <= high + 1e-6
        assert record.ci_low is not None and record.ci_high is not None
        assert low - 1e-6 <= record.ci_low <= record.ci_high <= high + 1e-6
