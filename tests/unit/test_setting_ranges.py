"""Settings to try: combinations, draws, and files that say what cannot be tried."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest

from eimf_core.comparison import setting_ranges
from eimf_core.errors import ConfigError


def tried(text: str, *backbones: str, trials: int | None = None, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    return setting_ranges.candidates(
        tomllib.loads(text), backbones or ("narm",), trials=trials, seed=seed, file="ranges.toml"
    )


def test_all_combinations_of_lists() -> None:
    found = tried("epochs = 3\ndimension = [4, 8]\ndropout = [0.1, 0.2, 0.3]")["narm"]
    assert len(found) == 6 and {setting["epochs"] for setting in found} == {3}
    assert {(setting["dimension"], setting["dropout"]) for setting in found} == {
        (dimension, dropout) for dimension in (4, 8) for dropout in (0.1, 0.2, 0.3)
    }
    assert tried("")["narm"] == [{}]


@pytest.mark.slow
def test_a_thousand_combinations_are_all_tried() -> None:
    text = "\n".join(f"{name} = {list(range(1, 11))}" for name in ("epochs", "dimension", "interests"))
    assert len(tried(text)["narm"]) == 1000


def test_settings_of_one_backbone_alone() -> None:
    text = (
        "dimension = [4, 8]\n[sasrec]\ndropout = 0.5\n[sasrec.hyperparameters]\nheads = [1, 2]\n[mind]\ndropout = 0.4"
    )
    found = tried(text, "narm", "sasrec")
    assert found["narm"] == [{"dimension": 4}, {"dimension": 8}]
    assert len(found["sasrec"]) == 4 and {setting["dropout"] for setting in found["sasrec"]} == {0.5}
    assert {setting["hyperparameters"]["heads"] for setting in found["sasrec"]} == {1, 2}
    assert setting_ranges.changed(found["sasrec"][0]) == "dimension=4 dropout=0.5 hyperparameters.heads=1"


@pytest.mark.slow
def test_draws_are_seeded_within_bounds_and_shared_by_backbones() -> None:
    text = (
        "learning_rate = { low = 1e-4, high = 1e-2, log = true }\ninterests = { low = 2, high = 5 }\ndimension = [4, 8]"
    )
    found = tried(text, "narm", "mind", trials=200)
    rates = np.array([setting["learning_rate"] for setting in found["narm"]])
    assert len(rates) == 200 and rates.min() >= 1e-4 and rates.max() <= 1e-2
    # evenly in the logarithm: half of them below the geometric mean
    assert 0.4 < (rates < 1e-3).mean() < 0.6
    interests = [setting["interests"] for setting in found["narm"]]
    assert set(interests) == {2, 3, 4, 5} and min(map(interests.count, (2, 3, 4, 5))) > 30
    assert found["narm"] == found["mind"] == tried(text, "narm", trials=200)["narm"]
    assert found["narm"][:7] == tried(text, "narm", trials=7)["narm"], "more trials only add"
    assert found["narm"] != tried(text, "narm", trials=200, seed=1)["narm"]


def test_draws_from_lists_do_not_repeat() -> None:
    found = tried("dimension = [4, 8]\ndropout = [0.1, 0.2]", trials=3)["narm"]
    assert len(found) == 3 and all(found.count(setting) == 1 for setting in found)
    assert len(tried("dimension = [4, 8]", trials=9)["narm"]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "learning_rate = { low = 0.1, high = 0.2 }",
            "learning_rate is a range; say how many settings to draw: --trials",
        ),
        ("dimensions = 4", "unknown setting 'dimensions'; did you mean dimension?"),
        ("backbone = 'narm'", "backbone is said by --backbones"),
        ("seed = 3", "seed is said by --seeds"),
        ("dimension = []", "dimension is an empty list"),
        ("dimension = [4, 8.5]", "dimension is 8.5: expected `int`, got `float`"),
        ("dimension = [4, 0]", "narm: --dimension is 0, expected a number from 1 to 65536"),
        ("loss = ['full', 'none']", "loss is none: "),
        ("dropout = { low = 0.1 }", "dropout: a range is"),
        ("dropout = { low = 0.3, high = 0.1 }", "dropout: low must be at most high"),
        ("learning_rate = { low = 0, high = 1, log = true }", "above 0 with log"),
        ("[hyperparameters]\nhead = 2", "narm: "),
        ("[sasrecs]\ndimension = 4", "unknown setting 'sasrecs'"),
        ("\n".join(f"{name} = {list(range(1, 12))}" for name in ("epochs", "dimension", "interests")), "1,331 comb"),
    ],
)
def test_what_cannot_be_tried_is_told(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^ranges\.toml: ") as told:
        tried(text)
    assert words in str(told.value)
