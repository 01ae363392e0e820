"""What `eimf export` writes, read by what is none of ours: the scores of the files alone are those of `recommend`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
import pytest

from eimf_core.model_directory.next_items import NextItemsConfig
from tests.benchmarks import recommend_speed
from tests.conftest import Eimf, one_error_line
from tests.recommend_models import write_named_model
from tests.small_data import TASTES

HISTORY = ["tea-1", "tea-3", "yarn-2"]


def exported(eimf: Eimf, model: Path, folder: Path) -> Path:
    """The folder of the network, with the vectors in it as the page beside it says."""
    done = eimf("export", model, "--vectors", folder / "items.parquet", "--onnx", folder / "network")
    assert done.returncode == 0, done.stderr
    os.replace(folder / "items.parquet", folder / "network" / "items.parquet")
    return folder / "network"


def example(folder: Path, history: list[str]) -> list[tuple[str, float]]:
    """What the example of the page prints, with nothing of ours to be imported."""
    program = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    program = f"{program}\nassert not [name for name in sys.modules if name.startswith('eimf')]"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *history], cwd=folder, capture_output=True, check=True, timeout=60
    )
    found = [line.split() for line in done.stdout.decode().splitlines()]
    return [(item, float(score)) for item, score in found]


def recommended(eimf: Eimf, model: Path, history: list[str], *more: str) -> dict[str, Any]:
    done = eimf("recommend", model, "--items", ",".join(history), "--jsonl", *more)
    assert done.returncode == 0, done.stderr
    return dict(orjson.loads(done.stdout))


def pairs(answer: dict[str, Any]) -> list[tuple[str, float]]:
    return [(item["item"], item["score"]) for item in answer["items"]]


def assert_same(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    assert [item for item, _ in found] == [item for item, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=2e-6)


def test_the_files_alone_score_as_recommend_does(tmp_path: Path, eimf: Eimf) -> None:
    model = write_named_model(tmp_path / "model")
    assert_same(example(exported(eimf, model, tmp_path), HISTORY), pairs(recommended(eimf, model, HISTORY)))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["comirec-sa+narm", "pimi"])
def test_with_lengths_and_with_days(tmp_path: Path, eimf: Eimf, backbone: str) -> None:
    model = recommend_speed.write_model(tmp_path / "model", 90, 8, backbone=backbone)
    history = ["B000000003", "B000000050", "B000000007", "B000000003"]
    folder = exported(eimf, model, tmp_path)
    assert_same(example(folder, history), pairs(recommended(eimf, model, history)))
    read = {part["name"] for part in orjson.loads((folder / "network.json").read_bytes())["inputs"]}
    assert read == {"vectors", "mask", *({"lengths"} if "+" in backbone else {"days"})}


@pytest.mark.slow
def test_of_a_model_with_a_graph_the_part_of_the_vectors(tmp_path: Path, eimf: Eimf) -> None:
    """What follows tea-1 adds to a score, and the page says that this part is lacking."""
    number = len([title for titles in TASTES.values() for title in titles])
    starts = np.full(number + 2, 1, np.int64)
    starts[:3] = 0
    graph = {"starts": starts, "items": np.array([6], np.int32), "values": np.array([0.5], np.float32)}
    config = NextItemsConfig(weight=0.5, decay=1, last=2)
    model = write_named_model(tmp_path / "model", graph=graph, next_items=config)
    folder = exported(eimf, model, tmp_path)
    explained = recommended(eimf, model, ["tea-1"], "--explain", "tea-5")["explain"]
    assert explained["next_items"] == 0.25
    scores = dict(example(folder, ["tea-1"]))
    assert scores["tea-5"] == pytest.approx(explained["score"] - 0.25, abs=2e-6)
    page = " ".join((folder / "README.md").read_text().split())
    assert "**Not in the score**" in page and "the last 2 items of a history" in page


def test_a_search_for_each_interest_gives_the_list(tmp_path: Path, eimf: Eimf) -> None:
    """The recipe for databases: the best of each interest, of an item its best score, is the list of `recommend`;
    sums over interests are another list."""
    import onnxruntime

    model = write_named_model(tmp_path / "model")
    folder = exported(eimf, model, tmp_path)
    columns = duckdb.sql(f"SELECT * FROM '{folder}/items.parquet'").fetchnumpy()
    ids, vectors = columns["item"].tolist(), np.stack(columns["vector"])
    rows = [ids.index(item) for item in HISTORY]
    session = onnxruntime.InferenceSession(folder / "interests.onnx")
    ((interests,), _) = session.run(None, {"vectors": vectors[rows][None], "mask": np.ones((1, len(rows)), bool)})
    best: dict[str, float] = {}
    for interest in interests:
        scores = vectors @ interest
        for row in np.argsort(-scores, kind="stable")[: 10 + len(HISTORY)].tolist():
            if row not in rows:
                best[ids[row]] = max(best.get(ids[row], -np.inf), float(scores[row]))
    found = sorted(best.items(), key=lambda pair: -pair[1])[:10]
    assert_same(found, pairs(recommended(eimf, model, HISTORY)))
    summed = (vectors @ interests.T).sum(axis=1)
    assert [ids[row] for row in np.argsort(-summed, kind="stable")[:10]] != [item for item, _ in found]


def test_columns_and_a_second_export(tmp_path: Path, eimf: Eimf) -> None:
    model = write_named_model(tmp_path / "model")
    folder, vectors = tmp_path / "network", tmp_path / "items.parquet"
    for _ in range(2):
        done = eimf("export", model, "--vectors", vectors, "--onnx", folder)
        assert done.returncode == 0, done.stderr
    found = duckdb.sql(f"DESCRIBE SELECT * FROM '{vectors}'").fetchall()
    assert [row[:2] for row in found] == [("item", "VARCHAR"), ("title", "VARCHAR"), ("vector", "FLOAT[]")]
    assert sorted(entry.name for entry in folder.iterdir()) == ["README.md", "interests.onnx", "network.json"]


def test_wrong_exports_are_one_line(tmp_path: Path, eimf: Eimf) -> None:
    model = write_named_model(tmp_path / "model")
    assert "nothing to write" in one_error_line(eimf("export", model), 2)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    assert "holds notes.txt, which would be lost" in one_error_line(eimf("export", model, "--onnx", mine), 2)
    file = tmp_path / "items.parquet"
    file.write_text("mine")
    assert "no run of eimf wrote it" in one_error_line(eimf("export", model, "--vectors", file), 2)
    assert (file.read_text(), (mine / "notes.txt").read_text()) == ("mine", "mine")
    before = sorted(each.name for each in model.iterdir())
    fine = tmp_path / "fine.parquet"
    for given, words in (
        (("--vectors", "-"), "--vectors -: expected a file name that ends in .parquet"),
        (("--vectors", tmp_path / "items.csv"), "ends in .parquet"),
        (("--vectors", model / "items.parquet"), "lies in the model directory"),
        (("--onnx", model / "network"), "lies in the model directory"),
        (("--vectors", fine, "--onnx", mine), "holds notes.txt, which would be lost"),
        (("--vectors", fine, "--onnx", file), "is a file, expected a folder"),
        (
            ("--vectors", tmp_path / "new" / "items.parquet", "--onnx", tmp_path / "new"),
            "put the file beside the folder",
        ),
    ):
        assert words in one_error_line(eimf("export", model, *given), 2)
    assert sorted(each.name for each in model.iterdir()) == before
    assert not fine.exists() and not (tmp_path / "new").exists()
    (model / "weights.safetensors").write_bytes(b"")
    assert "weights.safetensors has 0 bytes" in one_error_line(eimf("export", model, "--onnx", tmp_path / "x"), 4)
