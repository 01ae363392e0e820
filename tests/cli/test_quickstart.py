"""The whole chain as the README tells people to run it: quickstart.sh, twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.conftest import ROOT

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
        env={**environment, "EIMF_SKIP_INSTALL": "1", "EIMF_VENV": str(stamp), "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_quickstart_ends_with_reasons_and_reuses_what_is_there(checkout: Path, environment: dict[str, str]) -> None:
    environment = {key: value for key, value in environment.items() if key != "OMP_NUM_THREADS"}
    first = run(checkout, environment)
    work = checkout / "examples" / ".work"
    assert all((work / name).is_file() for name in OUTPUTS)
    assert "interest" in first.stdout and first.stdout.count("\n") > 10
    labels = [orjson.loads(line) for line in (work / "labels.jsonl").read_bytes().splitlines()]
    assert {label["engine"] for label in labels} == {"llama-cpp"}
    figures = {
        (line["model"], line["metric"], line.get("k")): line["value"]
        for line in map(orjson.loads, (work / "metrics.jsonl").read_bytes().splitlines())
        if line["slice"] == "all" and "compared_to" not in line
    }
    model = next(name for name, *_ in figures if name.endswith("model"))
    assert figures[model, "ndcg", 10] > 1.5 * figures["popularity", "ndcg", 10]
    stamps = {name: os.stat(work / name).st_mtime_ns for name in OUTPUTS}
    second = run(checkout, environment)
    assert {name: os.stat(work / name).st_mtime_ns for name in OUTPUTS} == stamps
    assert second.stdout == first.stdout and second.stderr.count("(up to date)") == 5
