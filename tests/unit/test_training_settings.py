"""Every setting of training reaches what it is for: another value is another run, and gives another result."""

from __future__ import annotations

import ast
import dataclasses
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from eimf_core import dataset
from eimf_core.errors import ConfigError
from eimf_core.io import jsonl
from eimf_core.text import loading
from eimf_core.training import setup
from eimf_core.training.config import TrainConfig
from tests.small_data import TASTES, write_small_data
from tests.small_training import small_run, small_settings
from tests.unit.test_label_training import labels_of

BASE: dict[str, Any] = {"epochs": 1, "semantic_weight": 0.3, "alignment_weight": 0.1, "item_alignment_weight": 0.3}
STILL = {"learning_rate": 1e-12, "epochs": 4}  # no epoch is better than the first

# another value of each setting, and what else the run needs for it to have a say
OTHER: dict[str, tuple[Any, dict[str, Any]]] = {
    "backbone": ("sasrec", {}),
    "hyperparameters": ({"layers": 1}, {"backbone": "sasrec"}),
    "epochs": (2, {}),
    "max_minutes": (1e-9, {"epochs": 2}),
    "seed": (1, {}),
    "max_length": (4, {}),
    "item_vectors": ("neighbours", {}),
    "item_categories": (True, {}),
    "item_events": (True, {}),
    "encoder": ("another", {}),
    "valid_users": (7, {}),
    "prefixes_per_window": (2, {"backbone": "comirec-dr"}),
    "dimension": (6, {}),
    "interests": (2, {}),
    "dropout": (0.5, {}),
    "semantic_weight": (0.6, {}),
    "alignment_weight": (0.2, {}),
    "alignment_temperature": (0.3, {}),
    "item_alignment_weight": (0.6, {}),
    "item_alignment_share": (0.5, {}),
    "labelled_share": (0.2, {}),
    "labelled_steps": (0.5, {}),
    "propagation_min_item_cosine": (0.9, {"propagation_min_item_cosine": 0.1, "propagation_min_user_cosine": -1.0}),
    "propagation_min_user_cosine": (0.99, {"propagation_min_item_cosine": 0.1, "propagation_min_user_cosine": -1.0}),
    "label_init": (True, {}),
    "loss": ("full", {}),
    "negatives": (12, {}),
    "temperature": (0.2, {}),
    "batch_size": (16, {}),
    "learning_rate": (0.02, {}),
    "schedule": ("linear", {}),
    "max_gradient_norm": (0.1, {}),
    "patience": (1, STILL),
    "precision": ("bf16", {}),
}
# where and how fast a run is computed: on this machine, with so little data, the result is the same
SAME_RESULT = {
    "device": "the same losses elsewhere; a checkpoint says where its run takes place, and goes on only there",
    "compile": "the same network, compiled; that compiled steps are taken is tested with the device",
    "threads": "sums over so few rows are not split among threads",
}

# these change the result by what comes after the loop, which alone is run here
AFTER_THE_LOOP = {"refit": "trains once more, with the lines of the validation split: test_refit holds it to that"}


class TasteEncoder:
    """Knows the taste of a text, and a little of its words; encoders of other names see them otherwise."""

    dimension = 8

    def __init__(self, name: str | None) -> None:
        self.name = self.identity = name or "packaged"

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        return np.stack([self._vector(text) for text in texts]).astype(np.float32)

    def _vector(self, text: str) -> npt.NDArray[np.float64]:
        words = np.random.default_rng(zlib.crc32(f"{self.identity} {text}".encode())).normal(size=8)
        taste = [any(text in (name, title) for title in titles) for name, titles in TASTES.items()]
        vector = 0.3 * words + 2.0 * np.pad(np.array(taste, float), (0, 8 - len(taste)))
        unit: npt.NDArray[np.float64] = vector / np.linalg.norm(vector)
        return unit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_small_data(tmp_path_factory.mktemp("settings"), events=True)
    jsonl.write(made / "labels.jsonl", labels_of(dataset.load(made, ("train",))))
    return made


@pytest.fixture(autouse=True)
def no_heavy_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "open_encoder", lambda name=None, texts=None: TasteEncoder(name))


def result(folder: Path, **changes: Any) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The weights at the end, and the figures of each epoch but its times."""
    run = small_run(folder, folder / "labels.jsonl", **{**BASE, **changes})
    weights = run.go()
    timed = ("seconds", "pairs_per_second")
    return weights, [{name: value for name, value in line.items() if name not in timed} for line in run.state.lines]


@cache
def before(needed: str, folder: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The result with these settings (as `repr` has them), which many changes are compared with."""
    changes = ast.literal_eval(needed)
    found = result(folder, **changes)
    again, _ = result(folder, **changes)
    assert alike(found[0], again), "the same settings gave another result: nothing can be told"
    return found


def fingerprint(folder: Path, **changes: Any) -> str:
    data, settings = dataset.load(folder, ("train",)), small_settings(**{**BASE, **changes})
    return setup.fingerprint(data, settings, setup.inputs(data, folder / "labels.jsonl", None))


def alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_every_setting_is_here() -> None:
    assert {
        field.name for field in dataclasses.fields(TrainConfig)
    } == OTHER.keys() | SAME_RESULT.keys() | AFTER_THE_LOOP.keys()


@pytest.mark.parametrize("name", AFTER_THE_LOOP)
def test_what_comes_after_the_loop_is_another_run_too(folder: Path, name: str) -> None:
    assert fingerprint(folder, **{name: True}) != fingerprint(folder)


@pytest.mark.parametrize("name", OTHER)
def test_another_value_is_another_run_with_another_result(folder: Path, name: str) -> None:
    value, needed = OTHER[name]
    changed = {**needed, name: value}
    assert fingerprint(folder, **needed) != fingerprint(folder, **changed)
    weights, lines = before(repr(needed), folder)
    other, other_lines = result(folder, **changed)
    if name == "valid_users":
        # looks only: the same weights
        assert alike(weights, other) and [line["valid"] for line in lines] != [line["valid"] for line in other_lines]
    else:
        assert not alike(weights, other)
    assert lines != other_lines


@pytest.mark.parametrize(("name", "value"), [("threads", 2), ("device", "auto")])
def test_where_a_run_is_computed_changes_nothing(folder: Path, name: str, value: Any) -> None:
    assert (fingerprint(folder) == fingerprint(folder, **{name: value})) == (name == "device")
    if name == "threads" or not torch.cuda.is_available():
        assert alike(result(folder)[0], result(folder, **{name: value})[0])
    assert fingerprint(folder) != fingerprint(folder, compile=True)


@pytest.mark.parametrize(
    ("name", "most"),
    [("max_length", 10_000), ("negatives", 1_000_000), ("batch_size", 100_000), ("dimension", 65_536)],
)
def test_sizes_that_no_memory_holds_are_refused(name: str, most: int) -> None:
    assert getattr(TrainConfig(**{name: most}), name) == most
    option = name.replace("_", "-")
    with pytest.raises(ConfigError, match=f"--{option} is {10**9}, expected a number from 1 to {most}"):
        TrainConfig(**{name: 10**9})
