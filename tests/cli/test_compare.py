"""`eimf compare`: settings chosen on validation, seeds, the table and its files, kills, failures, bad input."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from eimf_core.comparison import compare
from eimf_core.errors import InputError, ModelError
from eimf_core.training import train
from tests.conftest import ROOT, Eimf, one_error_line
from tests.small_data import write_small_data

RANGES = """
epochs = 1
interests = 2
max_length = 6
negatives = 8
batch_size = 32
item_vectors = "random"
threads = 1
dimension = [4, 8]
[sasrec]
dimension = 8
"""
ASKED = ("compare", "data", "--backbones", "comirec-sa,sasrec", "--seeds", "2", "--ranges", "ranges.toml", "-o", "runs")
FILES = ("--csv", "table.csv", "--latex", "table.tex", "--figures", "plots", "-k", "5")
Train = Callable[..., Any]


def prepared(folder: Path) -> Path:
    (folder / "data").mkdir()
    write_small_data(folder / "data")
    (folder / "ranges.toml").write_text(RANGES)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, eimf: Eimf) -> tuple[Path, str, str]:
    """A folder with a finished comparison, and what was printed: to stdout, to stderr."""
    folder = prepared(tmp_path_factory.mktemp("compare"))
    order: list[str] = []
    with (
        mock.patch.object(train, "train", _told(train.train, order)),
        mock.patch.object(compare, "evaluate", _told(compare.evaluate, order)),
    ):
        done = eimf(*ASKED, *FILES, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert order == ["train"] * 5 + ["evaluate"], "test lines are read once, when all is trained"
    return folder, done.stdout.decode(), done.stderr.decode()


def _told(function: Train, order: list[str]) -> Train:
    def told(*arguments: Any, **named: Any) -> Any:
        order.append(function.__name__)
        return function(*arguments, **named)

    return told


def trials(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "runs" / "trials.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_setting_that_is_best_on_validation_is_trained_with_all_seeds(finished: tuple[Path, str, str]) -> None:
    folder, _, told = finished
    known = trials(folder)
    searched = [trial for trial in known if trial["backbone"] == "comirec-sa" and trial["seed"] == 0]
    assert [trial["settings"]["dimension"] for trial in searched] == [4, 8]
    best = max(searched, key=lambda trial: trial["ndcg"])
    assert best["model"] == "comirec-sa-0" and [trial.get("model") for trial in searched].count(None) == 1
    (other,) = [trial for trial in known if trial["backbone"] == "comirec-sa" and trial["seed"] == 1]
    assert other["settings"] == best["settings"]
    assert sum(trial["backbone"] == "sasrec" for trial in known) == 2
    kept = {path.name for path in (folder / "runs").iterdir() if path.is_dir()}
    assert kept == {"comirec-sa-0", "comirec-sa-1", "sasrec-0", "sasrec-1"}
    assert "comirec-sa: epochs=1 interests=2 max_length=6 negatives=8 batch_size=32" in told
    assert "the best of 2 settings" in told and "5 of 5: " in told
    trained = json.loads((folder / "runs" / "comirec-sa-1" / "config.json").read_bytes())["training"]
    assert (trained["dimension"], trained["seed"]) == (best["settings"]["dimension"], 1)


def test_the_table_says_intervals_over_users_and_spread_over_seeds(finished: tuple[Path, str, str], eimf: Eimf) -> None:
    folder, table, _ = finished
    models = [f"runs/{name}" for name in ("comirec-sa-0", "comirec-sa-1", "sasrec-0", "sasrec-1")]
    done = eimf("eval", *models, "data", "--group", "-k", "5", "-m", "recall,ndcg", "--jsonl", "-q", cwd=folder)
    assert done.stdout == (folder / "runs" / "metrics.jsonl").read_bytes()
    validation: dict[str, list[float]] = {}
    for trial in trials(folder):
        if "model" in trial:
            validation.setdefault(trial["backbone"], []).append(trial["ndcg"])
    best = max(validation, key=lambda name: float(np.mean(validation[name])))
    other = ({"comirec-sa", "sasrec"} - {best}).pop()
    assert f"± standard deviation over 2 seeds; chosen on the validation split: {best}\n" in table
    assert f"difference to {best}" in table and "95 % intervals over users" in table
    records = [json.loads(line) for line in done.stdout.splitlines()]
    figure = next(r for r in records if r["model"] == f"runs/{best}-*" and r["metric"] == "ndcg" and "p" not in r)
    number = r"0\.\d{4}"
    row = next(line for line in table.splitlines() if line.split()[:1] == [best])
    assert re.search(rf"{figure['value']:.4f} \[{number}, {number}\] ± {figure['spread']:.4f} ", row)
    assert f"{np.mean(validation[best]):.4f} ± {np.std(validation[best], ddof=1):.4f}" in row
    pair = next(
        r
        for r in records
        if {r["model"], r.get("compared_to")} == {f"runs/{best}-*", f"runs/{other}-*"} and r["metric"] == "ndcg"
    )
    sign = 1 if pair["compared_to"] == f"runs/{best}-*" else -1
    row = next(line for line in table.splitlines() if line.split()[:1] == [other])
    low, high = sorted(sign * pair[f"difference_ci_{end}"] for end in ("low", "high"))
    assert f"{sign * pair['difference']:+.4f} [{low:.4f}, {high:.4f}]".replace("+0.0000", "0.0000") in row


def test_the_table_as_files(finished: tuple[Path, str, str]) -> None:
    folder, table, _ = finished
    rows = list(csv.DictReader((folder / "table.csv").open()))
    assert {row["system"] for row in rows} >= {"comirec-sa", "sasrec", "popularity", "ease"}
    assert {row["metric"] for row in rows} == {"recall", "ndcg"}
    ours = next(row for row in rows if row["system"] == "sasrec" and row["metric"] == "ndcg")
    assert ours["seeds"] == "2" and float(ours["ci_low"]) < float(ours["value"]) < float(ours["ci_high"])
    assert f"{float(ours['value']):.4f} [" in table and float(ours["spread_over_seeds"]) >= 0
    assert next(row for row in rows if row["system"] == "ease")["difference_ci_low"]
    for row in (row for row in rows if row["difference"]):
        assert float(row["difference_ci_low"]) <= float(row["difference"]) <= float(row["difference_ci_high"])
        best = next(each for each in rows if (each["system"], each["metric"]) == (row["compared_to"], row["metric"]))
        assert float(row["difference"]) == pytest.approx(float(row["value"]) - float(best["value"]), abs=1e-6)
    latex = (folder / "table.tex").read_text()
    body = latex.partition("\\midrule")[2].partition("\\bottomrule")[0].strip().splitlines()
    assert len(body) == 7 and all(line.count("&") == 3 and line.endswith("\\\\") for line in body)
    assert "95 \\% intervals over users" in latex and "standard deviation over 2 seeds" in latex and "\\pm" in latex
    for name in ("figures.svg", "differences.svg"):
        svg = (folder / "plots" / name).read_text()
        assert svg.startswith("<?xml") and "comirec-sa" in svg and 'width="' in svg
        assert (folder / "plots" / f"{name}.meta.json").is_file()
    assert json.loads((folder / "table.csv.meta.json").read_bytes())["command"] == "compare"


def test_epochs_reach_a_logger_as_the_documentation_says(
    finished: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    text = (ROOT / "eimf_core" / "training" / "README.md").read_text()
    (code,) = (found for found in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "mlflow" in found)
    logged: list[tuple[dict[str, float], int]] = []
    fake = SimpleNamespace(
        start_run=contextlib.nullcontext, log_metrics=lambda figures, step: logged.append((figures, step))
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)  # type: ignore[arg-type]
    monkeypatch.chdir(finished[0])
    exec(code.replace("model/train.jsonl", "runs/sasrec-1/train.jsonl"))
    (trial,) = (trial for trial in trials(finished[0]) if (trial["backbone"], trial["seed"]) == ("sasrec", 1))
    (figures, step), *_ = logged
    # the figure of a trial counts next items too
    assert step == 1 and 0 < figures["model/valid ndcg 10"] <= trial["ndcg"] and figures["model/loss"] > 0


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(finished: tuple[Path, str, str], eimf: Eimf, tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    done = finished[0]
    order: list[str] = []
    real = train.train

    def cut(*arguments: Any, **named: Any) -> Any:
        if len(order) == 2:
            raise KeyboardInterrupt
        order.append("train")
        return real(*arguments, **named)

    with mock.patch.object(train, "train", cut):
        assert eimf(*ASKED, *FILES, cwd=folder).returncode == 130
    assert not (folder / "runs" / "metrics.jsonl").exists() and len(trials(folder)) == 2
    with mock.patch.object(train, "train", _told(real, order)):
        assert eimf(*ASKED, *FILES, cwd=folder).returncode == 0
    assert len(order) == 5
    for name in ("table.tex", "runs/metrics.jsonl", "runs/sasrec-1/weights.safetensors"):
        assert (folder / name).read_bytes() == (done / name).read_bytes(), name
    # a further seed trains what is new alone, also where the folder was moved
    order.clear()
    (folder / "runs").rename(folder / "moved")
    with mock.patch.object(train, "train", _told(real, order)):
        more = eimf(*ASKED[:5], "3", *ASKED[6:8], "-o", "moved", "-k", "5", "-q", cwd=folder)
    assert more.returncode == 0 and more.stderr == b"" and len(order) == 2


@pytest.mark.slow
def test_a_training_that_fails_is_told_and_the_others_go_on(eimf: Eimf, tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    real = train.train
    broken = ("sasrec", 0)

    def failing(directory: Any, output: Any, settings: Any, **named: Any) -> Any:
        if (settings.backbone, settings.seed) == broken:
            raise RuntimeError("out of\nluck")
        if settings.backbone == "remi":
            raise ModelError("has nothing to say")
        return real(directory, output, settings, **named)

    asked = ["compare", "data", "--backbones", "sasrec,remi", "--seeds", "2", "--ranges", "ranges.toml", "-o", "runs"]
    asked += ["-k", "5", "--csv", "table.csv"]
    with mock.patch.object(train, "train", failing):
        done = eimf(*asked, cwd=folder)
    assert one_error_line(done, 4) == "eimf: 3 trainings failed, see above; the same command tries again"
    table, told = done.stdout.decode(), done.stderr.decode()
    assert re.search(r"^ +remi +all trainings failed", table, re.M) and re.search(
        r"^ +sasrec +0\.\d{4} \[", table, re.M
    )
    assert "sasrec, seed 0: failed: RuntimeError: out of luck\n" in told
    assert "remi, seed 1: failed: has nothing to say\n" in told
    rows = list(csv.DictReader((folder / "table.csv").open()))
    assert {row["system"]: row["error"] for row in rows}["sasrec"] == "seed 0: RuntimeError: out of luck"
    # the same command tries again what failed, and nothing else
    order: list[str] = []
    with mock.patch.object(train, "train", _told(real, order)):
        again = eimf(*asked, cwd=folder)
    assert again.returncode == 0, again.stderr.decode()
    # remi searches two dimensions and trains another seed
    assert len(order) == 1 + 3
    with mock.patch.object(train, "train", mock.Mock(side_effect=RuntimeError("no luck"))):
        shutil.rmtree(folder / "runs")
        none = one_error_line(eimf(*asked, cwd=folder), 4)
    assert none == "eimf: runs: no training came to its end; the first failed with: RuntimeError: no luck"


def test_damaged_data_are_no_failed_training(eimf: Eimf, tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    bad = InputError("is missing", file="labels.jsonl", line=2, field="interests")
    with mock.patch.object(train, "train", mock.Mock(side_effect=bad)) as tried:
        line = one_error_line(eimf(*ASKED, cwd=folder), 3)
    assert line == "eimf: labels.jsonl:2: field 'interests': is missing" and tried.call_count == 1


def test_a_full_disk_is_no_failed_training(eimf: Eimf, tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    with mock.patch.object(train, "train", mock.Mock(side_effect=OSError(28, "No space left on device"))):
        assert "disk is full" in one_error_line(eimf(*ASKED, cwd=folder), 1)
    assert not (folder / "runs" / "trials.jsonl").exists()


# -- bad input


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({1: "nowhere"}, 2, "nowhere: no such directory"),
        ({3: "narm,bert4rec"}, 2, "--backbones has 'bert4rec', expected comirec-sa"),
        ({3: ","}, 2, "--backbones is empty: name at least one"),
        ({5: "0"}, 2, "--seeds is 0"),
        ({7: "none.toml"}, 2, "none.toml: no such file"),
        ({7: "data/items.jsonl"}, 2, "data/items.jsonl: is not TOML"),
        ({9: "data"}, 2, "data: holds items.jsonl and no comparison; choose another -o"),
        ({9: "ranges.toml"}, 2, "ranges.toml"),
    ],
)
def test_bad_input_is_told_before_anything_is_trained(
    eimf: Eimf, tmp_path: Path, changed: dict[int, str], code: int, words: str
) -> None:
    folder = prepared(tmp_path)
    asked = list(ASKED)
    for at, word in changed.items():
        asked[at] = word
    before = sorted(path.name for path in folder.rglob("*"))
    with mock.patch.object(train, "train", mock.Mock(side_effect=AssertionError)):
        line = one_error_line(eimf(*asked, cwd=folder), code)
    assert words in line
    assert sorted(path.name for path in folder.rglob("*")) == before


@pytest.mark.parametrize("part", ["ranges", "max_minutes", "seed", "data"])
def test_a_folder_of_another_comparison(eimf: Eimf, finished: tuple[Path, str, str], part: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(finished[0], folder)
    more = {"max_minutes": ["--max-minutes", "3"], "seed": ["--seed", "9"]}.get(part, [])
    if part == "ranges":
        (folder / "ranges.toml").write_text(RANGES.replace("epochs = 1", "epochs = 2"))
    if part == "data":
        path = folder / "data" / "items.jsonl"
        path.write_bytes(path.read_bytes() + b"\n")
    line = one_error_line(eimf(*ASKED, *more, cwd=folder), 2)
    called = part if part == "data" else "--" + part.replace("_", "-")
    assert line.startswith(f"eimf: runs: holds a comparison with other {called}; give what it was made with")


def test_data_without_a_validation_split(eimf: Eimf, tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    path = folder / "data" / "sequences.jsonl"
    path.write_text("".join(line for line in path.open() if '"valid"' not in line))
    line = one_error_line(eimf(*ASKED, cwd=folder), 3)
    assert line == (
        "eimf: data/sequences.jsonl: has no valid lines; "
        "compare chooses on the validation split and tests on the test split"
    )


def test_a_wrong_directory_is_told_before_torch_is_imported(eimf: Eimf, tmp_path: Path) -> None:
    with mock.patch.dict(sys.modules, {"eimf_core.comparison.compare": None, "eimf_core.training.train": None}):
        for command in (("compare", "--backbones", "narm"), ("train",)):
            line = one_error_line(eimf(*command, "nowhere", "-o", "out", cwd=tmp_path), 2)
            assert "nowhere: no such directory" in line and not (tmp_path / "out").exists()
