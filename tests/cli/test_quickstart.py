"""The whole chain as the README tells people to run it: quickstart.sh, twice, and how good what it made is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.recommend.config import RecommendConfig
from tests.conftest import ROOT
from tests.shop_names import SHOP, Judge, measure

EPOCHS = "4"
"""A short training."""
OUTPUTS = (
    "data/sequences.jsonl",
    "data/items.jsonl",
    "samples.jsonl",
    "labels.jsonl",
    "model/manifest.json",
    "metrics.jsonl",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the script reads, so that the run leaves nothing in this checkout."""
    folder = tmp_path_factory.mktemp("quickstart")
    for name in ("examples", "prompts", "eimf_cli", "eimf_core"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".work", "__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def run(checkout: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The script in an environment that is there already: its own would be the same packages again."""
    environment_folder = Path(sys.prefix)
    stamp = checkout / "venv"
    if not stamp.exists():
        stamp.symlink_to(environment_folder)
    done = subprocess.run(
        ["bash", "examples/quickstart.sh"],
        cwd=checkout,
        env={
            **environment,
            "EIMF_SKIP_INSTALL": "1",
            "EIMF_VENV": str(stamp),
            "EIMF_TRAIN_EPOCHS": EPOCHS,
            "PYTHONPATH": str(checkout),
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def first(checkout: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The first run; what it made lies in examples/.work of the checkout."""
    pytest.importorskip("llama_cpp", reason="the labels come from the bundled labeler: pip install eimf[llama]")
    return run(checkout, without_threads(environment))


def without_threads(environment: dict[str, str]) -> dict[str, str]:
    """The environment, without a language model of this machine."""
    kept = {key: value for key, value in environment.items() if key not in ("OMP_NUM_THREADS", "EIMF_MODEL_FILE")}
    return kept | {"EIMF_MODELS": "/nonexistent"}


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.slow
def test_quickstart_ends_with_reasons_and_reuses_what_is_there(
    checkout: Path, first: subprocess.CompletedProcess[str], environment: dict[str, str]
) -> None:
    work = checkout / "examples" / ".work"
    assert all((work / name).is_file() for name in OUTPUTS)
    assert "interest" in first.stdout and first.stdout.count("\n") > 10
    assert {label["engine"] for label in lines(work / "labels.jsonl")} == {"llama-cpp"}
    figures = {
        (line["model"], line["metric"], line.get("k")): line["value"]
        for line in lines(work / "metrics.jsonl")
        if line["slice"] == "all" and "compared_to" not in line
    }
    model = next(name for name, *_ in figures if name.endswith("model"))
    assert figures[model, "ndcg", 10] > 1.5 * figures["popularity", "ndcg", 10]
    stamps = {name: os.stat(work / name).st_mtime_ns for name in OUTPUTS}
    second = run(checkout, without_threads(environment))
    assert {name: os.stat(work / name).st_mtime_ns for name in OUTPUTS} == stamps
    assert second.stdout == first.stdout and second.stderr.count("(up to date)") == 5


@pytest.mark.slow
def test_a_model_that_is_named_is_asked_of_four_customers_once(
    checkout: Path, first: subprocess.CompletedProcess[str], environment: dict[str, str], tmp_path: Path
) -> None:
    assert "the toy" not in first.stdout
    named = {**without_threads(environment), "EIMF_MODEL_FILE": "examples/labeler/shop-labeler.gguf"}
    shown = run(checkout, named)
    assert shown.stdout.startswith(first.stdout)
    told = shown.stdout[len(first.stdout) :].split("\n")[1:-1]
    assert len(told) == 8 and all(", the toy: " in line for line in told[::2])
    assert all(", shop-labeler: " in line for line in told[1::2])
    again = run(checkout, named)
    assert again.stdout == shown.stdout and "4 labels kept from an earlier run, 0 to go" in again.stderr
    # without a name, the first of the folder of models
    (models := tmp_path / "models").mkdir()
    for name in ("llama.gguf", "qwen-a.gguf", "qwen-b.gguf"):
        (models / name).symlink_to(checkout / "examples" / "labeler" / "shop-labeler.gguf")
    found = run(checkout, {**without_threads(environment), "EIMF_MODELS": str(models)})
    assert found.stdout == shown.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("first")
def test_labels_recover_the_true_interests(checkout: Path) -> None:
    """No customer of the shop and none of the titles marked `holdout` was in the training of the labeler."""
    truth = {
        line["user"]: {interest["name"] for interest in line["interests"]} for line in lines(SHOP / "truth.users.jsonl")
    }
    labels = lines(checkout / "examples" / ".work" / "labels.jsonl")
    found = Counter[str]()
    for label in labels:
        names = {interest["name"] for interest in label["interests"]}
        found["true"] += len(truth[label["user"]])
        found["named"] += len(names)
        found["hits"] += len(names & truth[label["user"]])
        found["at once"] += label["attempts"] == 1 and "error" not in label
    assert len(labels) > 150
    # every interest counts, also one that began after the training period
    assert found["hits"] >= 0.8 * found["true"]
    assert found["hits"] >= 0.8 * found["named"]
    assert found["at once"] >= 0.9 * len(labels)


@pytest.mark.slow
@pytest.mark.usefixtures("first")
def test_nine_in_ten_interests_are_rightly_named_and_more_than_by_words(checkout: Path) -> None:
    work = checkout / "examples" / ".work"
    judge, threshold = Judge(), RecommendConfig().name_threshold
    by_labels, by_words = (
        measure(judge, work / "model", work / "data" / "sequences.jsonl", threshold, words=words)
        for words in (False, True)
    )
    assert by_labels["judged"] > 1_000
    for share in ("right", "items_right", "lists_right"):
        assert by_labels[share] >= 0.9, by_labels
        assert by_labels[share] > by_words[share] + 0.1, (by_labels, by_words)
    # what the shares are measured against: names that mean nothing would be right once in so many
    assert by_words["right"] > 3 / len(judge.themes)
