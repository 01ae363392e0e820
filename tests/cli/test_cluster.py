"""`eimf cluster` as a command: files and pipes, the sidecar, the summary, the cache, bad options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from eimf_core.io import files, jsonl, provenance
from eimf_core.records import Cluster, Sample
from tests.conftest import ROOT, Eimf, one_error_line
from tests.small_data import write_small_data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small data; its text is encoded by the first test that needs it."""
    folder = tmp_path_factory.mktemp("cluster")
    return write_small_data(folder)


def test_files_and_stdout_hold_the_same(eimf: Eimf, made: Path, tmp_path: Path) -> None:
    out, summary = tmp_path / "new" / "samples.jsonl", tmp_path / "clusters.jsonl"
    done = eimf("cluster", made, "--budget", "10", "--clusters", "3", "-o", out, "--summary", summary)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    told = done.stderr.decode()
    assert "distinctive words" in told and "10 representative users of 60 in 3 clusters" in told
    samples, clusters = list(jsonl.read(out, Sample)), list(jsonl.read(summary, Cluster))
    assert len(samples) == 10 and sum(line.samples for line in clusters) == 10
    assert sum(line.size for line in clusters) == 60
    assert all(word in told for line in clusters for word in line.words)
    piped = eimf("cluster", made, "--budget", "10", "--clusters", "3", "-q")
    assert piped.stdout == out.read_bytes() and piped.stderr == b""
    described = orjson.loads(provenance.sidecar(out).read_bytes())
    assert described["command"] == "cluster" and described["seed"] == 0
    assert described["inputs"][str(made / "sequences.jsonl")] == files.sha256(made / "sequences.jsonl")
    assert described["facts"]["samples"] == 10 and described["facts"]["encoder"].startswith("all-MiniLM-L6-v2@")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "clusters.jsonl", "clusters.jsonl.meta.json", "samples.jsonl", "samples.jsonl.meta.json",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_second_run_loads_no_torch(made: Path, environment: dict[str, str], eimf: Eimf) -> None:
    first = eimf("cluster", made)
    program = (
        "import sys\nfrom eimf_cli.main import run\n"
        f"sys.argv[1:] = ['cluster', {str(made)!r}]\n"
        "try:\n    run()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules and 'sentence_transformers' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, env=environment, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == first.stdout and len(list((made / ".cache").iterdir())) == 1


@pytest.mark.slow
def test_head_ends_quietly(made: Path, environment: dict[str, str]) -> None:
    command = f"{sys.executable} -m eimf_cli cluster {made} --budget 100% -q | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, env=environment, cwd=ROOT)
    assert done.stdout.count(b"\n") == 1 and done.stderr == b""


def test_bad_options_are_one_line_and_leave_nothing(eimf: Eimf, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    for arguments, words in (
        (["--clusters", "61"], "60"),
        (["--clusters", "few"], "--clusters"),
        (["--budget", "0"], "--budget"),
        (["--encoder", tmp_path / "none"], "none"),
        (["--summary", out], "would be written twice"),
        (["--summary", f"{tmp_path}/new/../samples.jsonl"], "would be written twice"),
    ):
        assert words in one_error_line(eimf("cluster", made, "-o", out, *arguments), 2)
    assert "is a directory" in one_error_line(eimf("cluster", made, "-o", tmp_path), 2)
    sequences = (made / "sequences.jsonl").read_bytes()
    assert "is an input" in one_error_line(eimf("cluster", made, "-o", made / "sequences.jsonl"), 2)
    assert "is an input" in one_error_line(eimf("cluster", made, "-o", out, "--summary", made / "items.jsonl"), 2)
    assert (made / "sequences.jsonl").read_bytes() == sequences
    (tmp_path / "encoder").mkdir()
    one_error_line(eimf("cluster", made, "-o", out, "--encoder", tmp_path / "encoder"), 4)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_an_output_that_is_being_written_is_left_alone(eimf: Eimf, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "samples.jsonl"
    with files.locked(out):
        assert "another process" in one_error_line(eimf("cluster", made, "-o", out), 2)
    assert not out.exists()


def test_data_without_training_lines(eimf: Eimf, made: Path, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_bytes((made / "items.jsonl").read_bytes())
    lines = (made / "sequences.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "sequences.jsonl").write_bytes(b"".join(line for line in lines if b'"split":"train"' not in line))
    assert "'train'" in one_error_line(eimf("cluster", tmp_path, "-o", tmp_path / "out"), 3)
