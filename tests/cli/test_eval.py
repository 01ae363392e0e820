"""`eimf eval` as a subprocess: lines, tables, files, and errors in one line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.io import files
from eimf_core.records import Item
from tests.conftest import Eimf, one_error_line
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `data/` and `model/`."""
    (tmp_path / "data").mkdir()
    write_small_data(tmp_path / "data")
    items = dataset.load_items(tmp_path / "data" / "items.jsonl")
    write_small_model(tmp_path / "model", items, taste_vectors(items), seed=4)
    return tmp_path


def lines(content: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.slow
def test_lines_on_stdout_in_a_pipe(eimf: Eimf, folder: Path) -> None:
    done = eimf("eval", "model", "data", "-k", "5", "-k", "10", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    records = lines(done.stdout)
    first = records[0]
    assert first["model"] == "model" and first["metric"] == "recall" and first["k"] == 5
    assert first["users"] == 33 and first["left_out"] == {"targets_seen": 27}
    assert first["protocol"] == "leave-one-out/next" and first["seen"] == "drop" and first["seed"] == 4
    assert {record["k"] for record in records} == {5, 10}
    assert {record["model"] for record in records} >= {"model", "popularity"}
    assert b"users left out: 27 whose targets are all in their history" in done.stderr
    assert eimf("eval", "model", "data", "-k", "5", "-k", "10", "-o", "-", cwd=folder).stdout == done.stdout


def test_help_metrics_has_formula_and_source_of_each(eimf: Eimf) -> None:
    from eimf_core.evaluation.metrics import METRICS

    text = eimf("eval", "--help-metrics").stdout.decode()
    parts = {part.split()[0]: part for part in text.split("\n\n") if part[0] != " "}
    assert set(METRICS) <= set(parts)
    for name in METRICS:
        whole = text[text.index(f"\n{name}") :].split("\n\n")
        own = whole[0] + "".join(part for part in whole[1:3] if part.startswith("  "))
        assert "Source:" in own or "own figure" in own, name
    assert "p_holm: corrected after Holm" in text
    assert "NOT the standard NDCG" in text and "min(k, T)" in text


def test_a_table_when_asked(eimf: Eimf, folder: Path) -> None:
    done = eimf("eval", "model", "data", "-k", "5", "--table", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    assert "popularity" in text and "NDCG@5" in text and "leave-one-out/next" in text and "33 users" in text
    assert "{" not in text


def test_a_file_with_its_sidecar(eimf: Eimf, folder: Path) -> None:
    done = eimf("eval", "model", "data", "--seen", "keep", "--seed", "9", "-o", "out/metrics.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    records = lines((folder / "out" / "metrics.jsonl").read_bytes())
    assert {record["seen"] for record in records} == {"keep"} and {record["eval_seed"] for record in records} == {9}
    sidecar = json.loads((folder / "out" / "metrics.jsonl.meta.json").read_bytes())
    assert sidecar["seed"] == 9 and sidecar["arguments"]["k"] == [10, 20]
    assert set(sidecar["inputs"]) == {"data/sequences.jsonl", "data/items.jsonl", "model/manifest.json"}
    assert sidecar["facts"]["models"]["model"]["seed"] == 4
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["metrics.jsonl", "metrics.jsonl.meta.json"]


@pytest.mark.slow
def test_forced_lines_beside_a_file_and_a_table_beside_lines(eimf: Eimf, folder: Path) -> None:
    done = eimf("eval", "model", "data", "--jsonl", "-o", "metrics.jsonl", cwd=folder)
    assert done.stdout == (folder / "metrics.jsonl").read_bytes()
    both = eimf("eval", "model", "data", "--table", "-o", "-", cwd=folder)
    assert both.stdout == done.stdout and "NDCG@10" in both.stderr.decode()


def test_valid_split_and_two_models(eimf: Eimf, folder: Path) -> None:
    items = dataset.load_items(folder / "data" / "items.jsonl")
    write_small_model(folder / "worse", items, np.zeros((len(items) + 1, 4), np.float32))
    done = eimf("eval", "model", "worse", "data", "--split", "valid", "-k", "5", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    records = lines(done.stdout)
    assert {record["split"] for record in records} == {"valid"}
    pairs = {(record["model"], record["compared_to"]) for record in records if "compared_to" in record}
    assert pairs >= {("worse", "model"), ("model", "popularity"), ("worse", "popularity")}


def test_slices_and_values_per_user(eimf: Eimf, folder: Path) -> None:
    arguments = ["--slice", "history=8", "--slice", "category=tea", "--per-user", "users.jsonl", "-k", "5"]
    done = eimf("eval", "model", "data", *arguments, "--table", "--baselines", "none", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert "slice history<8: " in done.stderr.decode() and "category=tea (" in done.stdout.decode()
    values = lines((folder / "users.jsonl").read_bytes())
    assert len(values) == 33 and {line["model"] for line in values} == {"model"}
    assert set(values[0]) == {"user", "model", "history", "targets", "values"}
    assert json.loads((folder / "users.jsonl.meta.json").read_bytes())["arguments"]["slice"] == arguments[1:4:2]


@pytest.mark.slow
def test_a_model_that_loses_to_a_baseline_is_told_so(eimf: Eimf, folder: Path) -> None:
    items = dataset.load_items(folder / "data" / "items.jsonl")
    nonsense = np.random.default_rng(0).normal(size=(len(items) + 1, 4)).astype(np.float32)
    write_small_model(folder / "lost", items, nonsense)
    done = eimf("eval", "lost", "data", "-k", "5", "--table", cwd=folder)
    rows = [line for line in done.stdout.decode().splitlines() if line.strip().startswith("NDCG@5")]
    assert "behind" in done.stdout.decode() and any("ease" in row for row in rows)
    done = eimf("eval", "lost", "model", "data", "-k", "5", "-o", "metrics.jsonl", cwd=folder)
    lost, better, shown = done.stderr.decode().splitlines()[-3:]
    number = r"0\.\d{4}"
    figure = rf"NDCG@5 {number} \[{number}, {number}\]"
    assert re.fullmatch(rf"lost: {figure}; behind .*\bease {number} \(may be chance\).*", lost)
    assert re.fullmatch(rf"model: {figure}; ahead of .*ease \(may be chance\)", better)
    assert re.fullmatch(rf"with 33 users, NDCG@5 must differ by {number} to {number}, by pair, to be told .*", shown)
    assert done.stdout == b""
    quiet = eimf("eval", "lost", "model", "data", "-k", "5", "-o", "metrics.jsonl", "-q", cwd=folder)
    assert quiet.returncode == 0 and quiet.stderr == quiet.stdout == b""


def test_what_is_one_figure_stands_once(eimf: Eimf, folder: Path) -> None:
    """With one target a user, hit rate is recall; the lines hold both."""
    done = eimf("eval", "model", "data", "-k", "5", "-m", "standard,map", "--table", "-o", "lines.jsonl", cwd=folder)
    rows = [re.split(r"\s{2,}", line.strip())[0] for line in done.stdout.decode().splitlines() if "@5" in line]
    assert rows == ["recall@5 = hit rate", "NDCG@5", "MRR@5 = MAP"]
    assert {line["metric"] for line in lines((folder / "lines.jsonl").read_bytes())} >= {"recall", "hit_rate", "map"}


def test_swapped_directories_are_told(eimf: Eimf, folder: Path) -> None:
    told = one_error_line(eimf("eval", "data", "model", cwd=folder), 2)
    assert told == "eimf: model is a model directory; models come first, the prepared directory last"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("script") is None, reason="no program `script` to play a terminal")
def test_a_narrow_terminal_gets_whole_numbers(folder: Path, environment: dict[str, str]) -> None:
    """At 80 columns the systems of a table stand in parts below each other, each with the metrics in front."""
    import subprocess
    import sys

    items = dataset.load_items(folder / "data" / "items.jsonl")
    nonsense = np.random.default_rng(0).normal(size=(len(items) + 1, 4)).astype(np.float32)
    write_small_model(folder / "lost", items, nonsense)
    write_small_model(folder / "another", items, nonsense[::-1].copy())
    command = f"'{sys.executable}' -m eimf_cli eval model lost another data -k 5 --slice history 2>/dev/null"
    done = subprocess.run(
        ["script", "-qec", f"{command}", "/dev/null"],
        cwd=folder, env={**environment, "COLUMNS": "80"}, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    text = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", done.stdout.decode()).replace("\r", "")
    assert done.returncode == 0, text
    assert max(len(row) for row in text.splitlines()) <= 80
    for name in ("model", "lost", "another", "popularity", "recent-popularity", "last-item", "item-knn", "ease"):
        assert re.search(rf"^ .*(metric).* {name}( |$)", text, re.MULTILINE), name
    for metric in ("recall@5", "NDCG@5"):
        rows = [row for row in text.splitlines() if row.strip().startswith(f"{metric} ")]
        assert len(rows) >= 3
        assert sum(len(re.findall(r"\d\.\d{4} \[\d\.\d{4}, \d\.\d{4}\]", row)) for row in rows) == 3


@pytest.mark.slow
def test_seeds_as_a_group(eimf: Eimf, folder: Path) -> None:
    items = dataset.load_items(folder / "data" / "items.jsonl")
    for seed in (1, 2):
        write_small_model(folder / f"run-{seed}", items, taste_vectors(items, noise=1, seed=seed), seed=seed)
    done = eimf("eval", "run-1", "run-2", "data", "-k", "5", "--group", cwd=folder)
    (group,) = (r for r in lines(done.stdout) if r["model"] == "run-*" and r["metric"] == "mrr" and "p" not in r)
    assert group["seeds"] == 2 and group["spread"] >= 0
    alone = eimf("eval", "run-1", "data", "-k", "5", "--group", cwd=folder)
    assert b"no two models differ in their seed alone" in alone.stderr and alone.returncode == 0


def test_names_from_data_cannot_steer_the_terminal(eimf: Eimf, folder: Path) -> None:
    name = "mo\x1b[31mdel"
    (folder / "model").rename(folder / name)
    done = eimf("eval", name, "data", "--table", cwd=folder)
    assert done.returncode == 0 and b"\x1b" not in done.stdout + done.stderr


# -- bad input


def test_a_model_of_other_data(eimf: Eimf, folder: Path) -> None:
    others = [Item(item=f"x{at}", title="X", categories=["x"]) for at in range(4)]
    write_small_model(folder / "other", others, taste_vectors(others))
    done = eimf("eval", "other", "data", "-o", "metrics.jsonl", cwd=folder)
    told = one_error_line(done, 3)
    assert told.endswith("none of its items is known to other; give the data that this model was trained on")
    assert not list(folder.glob("*metrics*"))


def test_scores_that_are_no_numbers(eimf: Eimf, folder: Path) -> None:
    items = dataset.load_items(folder / "data" / "items.jsonl")
    vectors = taste_vectors(items)
    vectors[2, 0] = np.nan
    write_small_model(folder / "broken", items, vectors)
    assert "user 'user-" in one_error_line(eimf("eval", "broken", "data", cwd=folder), 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data"], "at least one model"),
        (["data", "data"], "not a model"),
        (["model", "model"], "models come first"),
        (["model", "nowhere"], "no such directory"),
        (["model", "data", "-k", "0"], "-k"),
        (["model", "data", "-k", "ten"], "a whole number"),
        (["model", "data", "--seen", "maybe"], "maybe"),
        (["model", "data", "--metrics", "accuracy"], "--metrics has 'accuracy'"),
        (["model", "data", "--slice", "age"], "--slice is 'age'"),
        (["model", "data", "--slice", "labels"], "--labels"),
        (["model", "data", "--slice", "labels", "--labels", "none.jsonl"], "none.jsonl: no such file"),
        (["model", "data", "--baselines", "slow"], "slow"),
        (["model", "data", "--per-user", "model"], "is a directory"),
        (["model", "data", "--per-user", "same.jsonl", "-o", "same.jsonl"], "same.jsonl: would be written twice"),
        (["model", "data", "-o", "data/sequences.jsonl"], "is an input and would be overwritten"),
        (["model", "data", "--report", "model/config.json"], "is an input and would be overwritten"),
        (["model", "data", "-o", "model"], "is a directory"),
    ],
)
def test_wrong_arguments(eimf: Eimf, folder: Path, arguments: list[str], words: str) -> None:
    done = eimf("eval", *arguments, cwd=folder)
    line = one_error_line(done, 4 if "not a model" in words else 2)
    assert words in line
    assert done.stdout == b""


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["coverage", "interest_places", "interest_cosine", "novelty"])
def test_a_metric_alone(eimf: Eimf, folder: Path, metric: str) -> None:
    asked = ["-m", metric, "-k", "5", "--slice", "history", "-o", "-", "--table", "--report", "page.html"]
    done = eimf("eval", "model", "data", *asked, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    records = lines(done.stdout)
    assert {record["metric"] for record in records} == {metric} and metric.replace("_", " ") in done.stderr.decode()
    assert all("ci_low" in record or "difference_ci_low" in record for record in records)
    assert metric in (folder / "page.html").read_text()


def test_what_cannot_be_measured_is_said(eimf: Eimf, folder: Path) -> None:
    path = folder / "data" / "items.jsonl"
    path.write_bytes(re.sub(rb'"categories":\[[^]]*\]', b'"categories":[]', path.read_bytes()))
    done = eimf("eval", "model", "data", "-m", "recall,diversity_category", cwd=folder)
    assert done.returncode == 0 and b"no figure of diversity_category: the items have no categories" in done.stderr
    assert {record["metric"] for record in lines(done.stdout)} == {"recall"}
    alone = eimf("eval", "model", "data", "-m", "diversity_category", "-o", "metrics.jsonl", cwd=folder)
    assert "nothing can be measured here (diversity_category: " in one_error_line(alone, 2)
    assert not list(folder.glob("*metrics*"))


@pytest.mark.slow
def test_a_full_disk_and_devices(eimf: Eimf, folder: Path) -> None:
    # this must hold before a command that might replace them is let near them
    assert files.is_device("/dev/full") and files.is_device("/dev/null")
    asked = ["eval", "model", "data", "-k", "5", "--baselines", "none"]
    assert "disk is full" in one_error_line(eimf(*asked, "-o", "/dev/full", cwd=folder), 1)
    done = eimf(*asked, "-o", "/dev/null", "--report", "/dev/null", cwd=folder)
    assert done.returncode == 0 and done.stdout == b"" and Path("/dev/null").is_char_device()


def test_an_output_that_someone_writes(eimf: Eimf, folder: Path) -> None:
    from eimf_core.io import files

    with files.locked(folder / "metrics.jsonl"):
        line = one_error_line(eimf("eval", "model", "data", "-o", "metrics.jsonl", cwd=folder), 2)
    assert "another process" in line


@pytest.mark.slow
def test_closed_pipe_ends_quietly(folder: Path, environment: dict[str, str]) -> None:
    import subprocess
    import sys

    command = f"'{sys.executable}' -m eimf_cli eval model data -m all | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout.count(b"\n") == 1 and b"Traceback" not in done.stderr
