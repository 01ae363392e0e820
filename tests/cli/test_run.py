"""`eimf run`: from a log to example answers, and again: only what is older than what it is made from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import orjson
import pytest

from eimf_core.io import jsonl
from eimf_core.records import Label, Sequence
from eimf_core.training import loop
from tests.conftest import Eimf, one_error_line
from tests.small_data import write_small_data

CONFIG = """
[prepare]
split = "leave-one-out"
[label]
engine = "categories"
[train]
backbone = "comirec-sa"
epochs = 1
dimension = 16
batch_size = 64
"""
STEPS = ["prepare", "cluster", "label", "train", "eval"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, its items and a configuration."""
    folder = tmp_path_factory.mktemp("run")
    write_small_data(folder)
    lines = [line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split == "test"]
    rows = [
        f"{line.user},{item},{1_600_000_000 + 86_400 * at}"
        for line in lines
        for at, item in enumerate([*line.items, *line.targets])
    ]
    (folder / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    (folder / "shop.toml").write_text(CONFIG)
    return folder


def run(eimf: Eimf, folder: Path, *more: object) -> Any:
    return eimf("run", "log.csv", "--items", "items.jsonl", "-o", "shop", "--config", "shop.toml", *more, cwd=folder)


def made(stderr: bytes) -> list[str]:
    """The steps that were not up to date."""
    told = re.findall(r"^\$ eimf (\w+) [^\n]*\n(  \(up to date\))?", stderr.decode(), flags=re.MULTILINE)
    assert [name for name, _ in told] == STEPS
    return [name for name, fresh in told if not fresh]


@pytest.mark.slow
def test_from_a_log_to_answers_and_what_is_made_again(eimf: Eimf, folder: Path) -> None:
    done = run(eimf, folder)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode()
    assert made(done.stderr) == STEPS and "--discard" not in said
    assert "$ eimf train shop/data --labels shop/labels.jsonl -o shop/model --config shop.toml" in said
    assert re.search(r"How well it ranks what came next, over \d+ users, best first", said) and "NDCG@10" in said
    assert re.search(r"last-item +0\.\d{4}", said)
    assert said.rstrip().endswith(
        "next: eimf recommend shop/model --all-users shop/data -o shop/recommendations.parquet"
    )
    answers = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert len({answer["id"] for answer in answers}) == 5 and {len(answer["items"]) for answer in answers} == {3}

    again = run(eimf, folder)
    # times of files count for nothing
    (folder / "log.csv").touch()
    assert made(again.stderr) == made(run(eimf, folder).stderr) == [] and again.stdout == done.stdout
    assert "How well it ranks" in again.stderr.decode()

    (folder / "shop.toml").write_text(CONFIG + "[eval]\nk = [5, 10]\n")
    assert made(run(eimf, folder).stderr) == ["eval"]
    (folder / "shop.toml").write_text(CONFIG + "seed = 3\n")
    assert made(run(eimf, folder).stderr) == ["train", "eval"]
    with open(folder / "log.csv", "a") as log:
        log.write("user-0,tea-1,1700000000\n")
    assert "prepare" in made(run(eimf, folder).stderr)
    quiet = run(eimf, folder, "-q")
    assert quiet.returncode == 0 and quiet.stderr == b"" and quiet.stdout

    labels = list(jsonl.read(folder / "shop" / "labels.jsonl", Label))
    jsonl.write(folder / "shop" / "labels.jsonl", [msgspec.structs.replace(label, user="x") for label in labels])
    line = one_error_line(run(eimf, folder), 2)
    assert "labels.jsonl: was changed since eimf run made it; remove it to have it made again" in line
    (folder / "shop" / "labels.jsonl").unlink()
    # labels say how many seconds they took: most often another file, and then what is made from it
    assert made(run(eimf, folder).stderr) in (["label"], ["label", "train", "eval"])


@pytest.mark.slow
def test_an_interrupted_run_goes_on_at_the_step_that_it_was_in(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    for name in ("log.csv", "items.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "shop.toml").write_text(CONFIG.replace('[label]\nengine = "categories"\n', ""))
    with mock.patch.object(loop.Loop, "_run_epoch", side_effect=KeyboardInterrupt):
        stopped = run(eimf, tmp_path)
    assert stopped.returncode == 130 and not (tmp_path / "shop" / "model").exists()
    done = run(eimf, tmp_path)
    told = re.findall(r"^\$ eimf (\w+)", done.stderr.decode(), flags=re.MULTILINE)
    # without a table for labels nobody is labelled
    assert done.returncode == 0 and told == ["prepare", "train", "eval"]
    assert done.stderr.decode().count("(up to date)") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.csv", "-o", "out"), "nowhere.csv: no such file"),
        (("-", "-o", "out"), "is a stream"),
        (("log.csv", "-o", "out", "--config", "bad.toml"), "unknown table 'trian'; did you mean train?"),
        (("log.csv", "-o", "out", "--config", "wrong.toml"), "wrong.toml: epochs is 'many'"),
        (("log.csv", "-o", "out", "--config", "engine.toml"), "engine.toml: engine is 'keyword', expected llama-cpp, "),
    ],
)
def test_what_cannot_be_run(eimf: Eimf, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder / "bad.toml").write_text("[trian]\nepochs = 1\n")
    (folder / "wrong.toml").write_text('[train]\nepochs = "many"\n')
    (folder / "engine.toml").write_text('[label]\nengine = "keyword"\n')
    assert words in one_error_line(eimf("run", *arguments, cwd=folder), 2)
    assert not (folder / "out").exists()


def test_options_are_read_from_a_file_alone(eimf: Eimf, folder: Path) -> None:
    """Each step reads them, and a pipe gives them once."""
    reader, writer = os.pipe()
    os.write(writer, b"[train]\nepochs = 1\n")
    os.close(writer)
    try:
        line = one_error_line(eimf("run", "log.csv", "-o", "out", "--config", f"/dev/fd/{reader}", cwd=folder), 2)
    finally:
        os.close(reader)
    assert "is a stream" in line and not (folder / "out").exists()
