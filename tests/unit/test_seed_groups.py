"""Seeds of one configuration as one: the mean, the spread, and the pooled difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.errors import ConfigError
from eimf_core.evaluation import result_tables
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import Evaluation, evaluate
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data")


def model(data: Path, name: str, seed: int, **training: object) -> Path:
    items = dataset.load_items(data / "items.jsonl")
    vectors = taste_vectors(items, noise=0.8, seed=seed)
    return write_small_model(data.parent / name, items, vectors, seed=seed, training={"epochs": 3, **training})


def run(data: Path, models: list[Path], **more: object) -> Evaluation:
    settings = EvalConfig(k=[5], baselines="none", resamples=2000, group=True, **more)  # type: ignore[arg-type]
    return evaluate(models, data, settings)


def test_mean_spread_and_pooled_difference(data: Path) -> None:
    plain = [model(data, f"plain-{seed}", seed) for seed in (1, 2, 3)]
    other = [model(data, f"other-{seed}", seed + 10, labels="yes") for seed in (1, 2)]
    single = model(data, "single", 9, dimension=7)
    evaluation = run(data, [*plain, *other, single], slice=["history=8"])
    base = str(data.parent)
    groups = [result.name for result in evaluation.results if result.role == "group"]
    assert groups == [f"{base}/plain-*", f"{base}/other-*"]
    found = {(r.model, r.slice): r for r in evaluation.records if r.metric == "recall" and r.compared_to is None}
    for part in ("all", "history<8"):
        values = [found[str(path), part].value for path in plain]
        group = found[f"{base}/plain-*", part]
        assert group.value == pytest.approx(np.mean(values), abs=1e-6)
        assert group.spread == pytest.approx(np.std(values, ddof=1), abs=1e-6) and group.spread > 0
        assert group.seeds == 3 and group.group == group.model and group.seed is None
    assert found[str(plain[0]), "all"].group == f"{base}/plain-*" and found[str(plain[0]), "all"].seed == 1
    assert found[str(single), "all"].group is None
    compared = {(r.model, r.compared_to) for r in evaluation.records if r.compared_to}
    assert compared == {
        (f"{base}/plain-*", str(single)), (f"{base}/other-*", str(single)), (f"{base}/other-*", f"{base}/plain-*"),
    }  # fmt: skip
    pooled = next(r for r in evaluation.records if r.metric == "recall" and r.compared_to == f"{base}/plain-*")
    difference = np.mean([found[str(path), "all"].value for path in other]) - found[f"{base}/plain-*", "all"].value
    assert pooled.difference == pytest.approx(difference, abs=1e-6)
    assert pooled.ci_low is None and pooled.ci_high is None, "an interval of the value beside that of the difference"
    assert pooled.difference_ci_low is not None and pooled.difference_ci_high is not None
    assert pooled.difference_ci_low <= difference <= pooled.difference_ci_high


def test_tables_show_groups_in_place_of_their_models(data: Path) -> None:
    plain = [model(data, f"plain-{seed}", seed) for seed in (1, 2)]
    evaluation = run(data, [*plain, model(data, "single", 9, dimension=7)])
    table = result_tables.of_all(evaluation)
    assert table.columns == ["metric", "single", "plain-*"]
    assert all("±" in row[2] and "±" not in row[1] for row in table.rows)
    (row,) = (row for row in result_tables.of_comparisons(evaluation).rows if row[1] == "recall@5 = hit rate")
    assert row[0] == "plain-* - single" and row[2][0] in "+-0"


def test_without_group_each_stands_for_itself(data: Path) -> None:
    models = [model(data, f"plain-{seed}", seed) for seed in (1, 2)]
    evaluation = evaluate(models, data, EvalConfig(k=[5], baselines="none", resamples=100))
    assert {result.role for result in evaluation.results} == {"model"}


def test_the_same_seed_twice_is_an_error(data: Path) -> None:
    with pytest.raises(ConfigError, match="same seed"):
        run(data, [model(data, "one", 1), model(data, "two", 1)])


def test_values_per_user_average_to_the_figures(data: Path) -> None:
    evaluation = run(data, [model(data, f"plain-{seed}", seed) for seed in (1, 2)], slice=["category=tea"])
    lines = list(evaluation.per_user())
    assert len(lines) == 3 * evaluation.facts["users"]
    for record in (r for r in evaluation.records if r.metric in ("recall", "mrr") and r.slice == "all"):
        if record.compared_to is None:
            values = [line.values[f"{record.metric}@5"] for line in lines if line.model == record.model]
            assert np.mean(values) == pytest.approx(record.value, abs=1e-5)
    tea = [line for line in lines if "recall@5 category=tea" in line.values]
    assert 0 < len(tea) < len(lines)
    assert {line.targets for line in lines} == {1} and min(line.history for line in lines) >= 5
