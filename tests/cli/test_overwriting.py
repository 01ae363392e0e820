"""What commands may write over: no input, nothing foreign, no good model; links and devices are what they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eimf_core import dataset
from eimf_core.model_directory import artifact
from tests.conftest import Eimf, one_error_line
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model

LOG = "user,item,time\n" + "".join(f"u{user},i{item},{user + item}\n" for user in range(4) for item in range(4))


def snapshot(folder: Path) -> dict[str, bytes]:
    """All files but caches."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a log, `data/`, `model/` and a file of the user's own."""
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "own.txt").write_text("an afternoon's work")
    (tmp_path / "data").mkdir()
    write_small_data(tmp_path / "data")
    items = dataset.load_items(tmp_path / "data" / "items.jsonl")
    write_small_model(tmp_path / "model", items, taste_vectors(items), seed=4)
    return tmp_path


def test_prepare_replaces_no_file_of_the_user(eimf: Eimf, folder: Path) -> None:
    asked = ["prepare", "log.csv", "--split", "none", "-o"]
    mine = folder / "mine"
    mine.mkdir()
    (mine / "items.jsonl").write_text('{"item":"i0","title":"mine"}\n')
    for name in ("sequences.jsonl", "rejects.jsonl", "sequences.jsonl.meta.json"):
        (mine / name).write_text("mine")
        before = snapshot(mine)
        assert "no run of eimf wrote it" in one_error_line(eimf(*asked, "mine", cwd=folder), 2)
        items = ("--items", "mine/items.jsonl", "--force")
        assert "is an input" in one_error_line(eimf(*asked, "mine", *items, cwd=folder), 2)
        assert snapshot(mine) == before
        (mine / name).unlink()
    assert "items.jsonl: is there already" in one_error_line(eimf(*asked, "mine", cwd=folder), 2)
    assert eimf(*asked, "new", cwd=folder).returncode == 0
    assert eimf(*asked, "new", cwd=folder).returncode == 0
    edited = folder / "new" / "items.jsonl"
    edited.write_text(edited.read_text() + '{"item":"more"}\n')
    assert "items.jsonl: was changed since" in one_error_line(eimf(*asked, "new", cwd=folder), 2)
    assert eimf(*asked, "new", "--force", cwd=folder).returncode == 0
    shutil.copy(folder / "log.csv", folder / "new" / "sequences.jsonl")
    line = one_error_line(eimf("prepare", "new/sequences.jsonl", "-o", "new", "--force", cwd=folder), 2)
    assert "is an input" in line


@pytest.mark.parametrize("name", ["sequences.jsonl", "items.jsonl", "sequences.jsonl.meta.json"])
def test_no_command_writes_over_what_it_reads(eimf: Eimf, folder: Path, name: str) -> None:
    (folder / "data" / "sequences.jsonl.meta.json").write_text('{"command":"prepare","versions":{},"facts":{}}')
    before = snapshot(folder)
    for command in (
        ["cluster", "data", "-o"],
        ["cluster", "data", "--summary"],
        ["eval", "model", "data", "-o"],
        ["eval", "model", "data", "--per-user"],
        ["eval", "model", "data", "--report"],
        ["label", "data/items.jsonl", "--engine", "keywords", "--items", "data/sequences.jsonl", "-o"],
        ["score", "data/sequences.jsonl", "--samples", "own.txt", "--truth", "data/items.jsonl", "-o"],
    ):
        if command[0] in ("label", "score") and name.endswith(".meta.json"):
            continue
        line = one_error_line(eimf(*command, f"data/{name}", "--force", cwd=folder), 2)
        assert f"data/{name}: is an input" in line, command
    assert snapshot(folder) == before


def test_no_command_replaces_a_foreign_file(eimf: Eimf, folder: Path) -> None:
    before = snapshot(folder)
    for command in (
        ["cluster", "data", "-o"],
        ["cluster", "data", "--summary"],
        ["eval", "model", "data", "--report"],
        ["score", "data/sequences.jsonl", "--samples", "log.csv", "--truth", "data/items.jsonl", "-o"],
    ):
        line = one_error_line(eimf(*command, "own.txt", cwd=folder), 2)
        assert "own.txt: is there already, and no run of eimf wrote it" in line, command
    assert snapshot(folder) == before
    eimf("cluster", "data", "--budget", "4", "-o", "samples.jsonl", cwd=folder)
    asked = ["label", "samples.jsonl", "--engine", "keywords", "-o", "own.txt"]
    assert "no run of eimf wrote it" in one_error_line(eimf(*asked, cwd=folder), 2)
    assert (folder / "own.txt").read_text() == "an afternoon's work"
    assert eimf(*asked, "--force", cwd=folder).returncode == 0
    assert eimf(*asked, cwd=folder).returncode == 0


def test_training_keeps_the_model_that_was_there(eimf: Eimf, folder: Path) -> None:
    asked = ["train", "data", "--backbone", "comirec-sa", "--dimension", "4", "--epochs", "1"]
    asked += ["--item-vectors", "random", "-o"]
    (folder / "current").symlink_to("v1")
    said = []
    for seed in ("1", "2", "3"):
        done = eimf(*asked, "current", "--seed", seed, cwd=folder)
        assert done.returncode == 0, done.stderr.decode()
        said.append(b"is kept as" in done.stderr)
    assert said == [False, True, True]
    assert (folder / "current").is_symlink()
    assert [artifact.open_model(folder / name).config.seed for name in ("current", "v1", "v1.previous")] == [3, 3, 2]
    done = eimf(*asked, "v1", "--init", "v1", cwd=folder)
    assert done.returncode == 0 and artifact.open_model(folder / "v1.previous").config.seed == 3
    for place in ("v1", "v1.previous"):
        (folder / place / "notes.txt").write_text("good")
        line = one_error_line(eimf(*asked, "v1", cwd=folder), 2)
        assert f"{place}: holds notes.txt" in line
        (folder / place / "notes.txt").unlink()
    assert not [path for path in folder.iterdir() if path.name.startswith(".v1")]


@pytest.mark.parametrize("path", [".", "/", ""])
def test_a_model_needs_a_directory_of_its_own(eimf: Eimf, folder: Path, path: str) -> None:
    (folder / "empty").mkdir()
    one_error_line(eimf("train", folder / "data", "-o", path, cwd=folder / "empty"), 2)
    assert not list((folder / "empty").iterdir())


@pytest.mark.slow
def test_all_outputs_of_eval_or_none(eimf: Eimf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eimf_core.evaluation import report

    asked = ["eval", "model", "data", "--baselines", "none", "-o", "m.jsonl", "--per-user", "u.jsonl.gz"]
    asked += ["--report", "r.html"]
    assert eimf(*asked, cwd=folder).returncode == 0
    before = snapshot(folder)
    assert {"m.jsonl", "u.jsonl.gz", "r.html", "m.jsonl.meta.json", "r.html.meta.json"} <= before.keys()
    assert before["u.jsonl.gz"][:2] == b"\x1f\x8b"
    assert eimf(*asked, cwd=folder).returncode == 0
    before = snapshot(folder)

    def fails(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "render", fails)
    assert eimf(*asked, "-k", "3", cwd=folder).returncode == 130
    assert snapshot(folder) == before
