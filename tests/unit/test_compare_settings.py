"""Every setting of `compare` changes what is trained or measured, and what is out of bounds is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eimf_core.comparison import compare
from eimf_core.comparison.config import CompareConfig
from eimf_core.errors import ConfigError
from eimf_core.evaluation.config import EvalConfig
from eimf_core.training import train
from eimf_core.training.config import TrainConfig
from tests.small_data import write_small_data

RANGES = "dimension = [4, 8, 12, 16]\n"
BASE: dict[str, Any] = {"backbones": ["sasrec"], "trials": 2}
OTHER: dict[str, Any] = {
    "backbones": ["sasrec", "narm"],
    "seeds": 2,
    "max_minutes": 3.0,
    "trials": 1,
    "k": [7],
    "seed": 5,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare-settings")
    write_small_data(folder)
    (folder / "ranges.toml").write_text(RANGES)
    return folder


def asked(data: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> list[Any]:
    """What is trained, by backbone, seed, dimension and time limit, and with which settings it is measured."""
    found: list[Any] = []

    def trained(directory: Path, place: Path, config: TrainConfig, **_: Any) -> SimpleNamespace:
        found.append((config.backbone, config.seed, config.dimension, config.max_minutes))
        place.mkdir(parents=True)
        (place / "manifest.json").write_text("{}")
        return SimpleNamespace(ndcg=0.5, epochs=1, seconds=0.1)

    def measured(models: list[str], directory: Path, config: EvalConfig, **_: Any) -> SimpleNamespace:
        found.append((len(models), config.k, config.group, config.seed))
        return SimpleNamespace(facts={})

    monkeypatch.setattr(train, "train", trained)
    monkeypatch.setattr(compare, "evaluate", measured)
    compare.compare(data, output, CompareConfig(**{**BASE, **changed}), ranges=data / "ranges.toml")
    return found


@pytest.mark.parametrize("name", [field.name for field in fields(CompareConfig)])
def test_a_setting_changes_what_is_trained_or_measured(
    data: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = asked(data, tmp_path / "usual", monkeypatch)
    # two settings tried with the first seed, the better one with the two others
    assert len(usual) == 5
    assert asked(data, tmp_path / "other", monkeypatch, **{name: OTHER[name]}) != usual


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"backbones": []}, "--backbones is empty: name at least one"),
        ({"backbones": ["narm+sasrek"]}, "--backbones has 'sasrek', expected comirec-sa"),
        ({"seeds": 0}, "--seeds is 0, expected 1 or more"),
        ({"max_minutes": 0.0}, "--max-minutes is 0.0, expected a number above 0"),
        ({"trials": 0}, "--trials is 0, expected 1 or more"),
        ({"k": [1001]}, "--k is 1001, expected a number from 1 to 1000"),
        ({"seed": -1}, "--seed is -1, expected 0 or more"),
    ],
)
def test_what_is_out_of_bounds_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CompareConfig(**{**BASE, **wrong})
