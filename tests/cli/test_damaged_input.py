"""Damaged and strange input is an error in one line, with the file's name and the documented exit code."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from eimf_core import dataset
from eimf_core.model_directory import artifact
from tests.conftest import Eimf, one_error_line
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/`, `model/` and `log.csv`."""
    made = tmp_path_factory.mktemp("damaged")
    (made / "data").mkdir()
    write_small_data(made / "data")
    items = dataset.load_items(made / "data" / "items.jsonl")
    write_small_model(made / "model", items, taste_vectors(items), seed=4)
    (made / "log.csv").write_text("user,item,time\na,x,1\na,y,2\n")
    return made


def test_a_broken_gzip_stream_wherever_it_is_read(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    whole = gzip.compress((folder / "data" / "sequences.jsonl").read_bytes())
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    crc = bytearray(whole)
    crc[-8] ^= 1
    path = tmp_path / "broken.jsonl.gz"
    for content in (whole[: len(whole) // 2], bytes(flipped), bytes(crc)):
        path.write_bytes(content)
        for command in (
            ["recommend", folder / "model", "--user", "nobody", "--sequences", path],
            ["prepare", path, "-o", tmp_path / "out"],
        ):
            line = one_error_line(eimf(*command), 3)
            assert f"{path}" in line and "broken gzip stream" in line and "get it again" in line, (command, line)


@pytest.mark.slow
def test_damaged_parquet(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "log.parquet"
    rows = "SELECT 'u' || i % 7 AS user, 'i' || i AS item, i AS time FROM range(3000) AS t(i)"
    duckdb.connect().execute(f"COPY ({rows}) TO '{path}'")
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(6):
        broken = bytearray(whole)
        for at in rng.sample(range(4, len(whole) - 8), 3):
            broken[at] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        for command in (["prepare", path], ["prepare", folder / "log.csv", "--items", path]):
            done = eimf(*command, "--split", "none", "--on-error", "skip", "--force", "-o", tmp_path / "out")
            assert done.returncode in (0, 2, 3), done.stderr.decode()
            if done.returncode:
                assert "log.parquet" in done.stderr.decode().splitlines()[-1]
                refused += 1
    assert refused > 2


def test_half_a_surrogate_pair_is_a_bad_row(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "out"
    log.write_text(
        '{"user":"a","item":"x","timestamp":1}\n{"user":"b","item":"\\ud800","timestamp":2}\n'
        '{"user":"a","item":"y","timestamp":3}\n'
    )
    asked = ["prepare", log, "--split", "none", "-o", out]
    assert "log.jsonl:2: field 'item': holds half of a surrogate pair" in one_error_line(eimf(*asked), 3)
    assert eimf(*asked, "--on-error", "skip").returncode == 0
    assert orjson.loads((out / "rejects.jsonl").read_bytes())["line"] == 2
    items = tmp_path / "items.jsonl"
    items.write_text('{"id":"x","title":"\\udc00"}\n{"id":"y","title":"t"}\n')
    asked = ["prepare", folder / "log.csv", "--items", items, "--split", "none", "-o", out]
    assert "items.jsonl:1: holds half of a surrogate pair" in one_error_line(eimf(*asked), 3)
    assert eimf(*asked, "--on-error", "skip").returncode == 0


@pytest.mark.parametrize(
    "content", ["a = " + "[" * 5000 + "]" * 5000, "a = " + "{b = " * 5000, "prepare = 3", "[prepare]\nsplit = [[1]]"]
)
def test_a_strange_configuration(eimf: Eimf, folder: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "config.toml").write_text(content)
    asked = ["prepare", folder / "log.csv", "-o", tmp_path / "out", "--config", tmp_path / "config.toml"]
    line = one_error_line(eimf(*asked), 2)
    # a value is told by its name
    assert "config.toml" in line or "--split (in --config)" in line


def test_names_that_are_empty_or_no_text(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")
    Path(strange).write_text("user,item,time\na,x,1\n")
    for path in ("", strange):
        assert "expected a path" in one_error_line(eimf("prepare", path, "-o", tmp_path / "out"), 2)
        assert "expected a path" in one_error_line(eimf("prepare", folder / "log.csv", "-o", path, cwd=tmp_path), 2)
    assert "expected text" in one_error_line(eimf("recommend", folder / "model", "--text", "\udcff"), 2)
    found = eimf("prepare", tmp_path / "*.csv", "-o", tmp_path / "out", "--split", "none")
    assert "its name is not UTF-8" in one_error_line(found, 2)


def test_a_time_that_is_nested_deeper_than_can_be_written(eimf: Eimf, tmp_path: Path) -> None:
    row = '{{"user":"u{0}","item":"i{0}","time":{1}}}'
    rows = [row.format(number, 1300000000 + number) for number in range(5)]
    (tmp_path / "log.jsonl").write_text("\n".join([*rows, row.format(5, "[" * 300 + "]" * 300)]) + "\n")
    asked = ["prepare", tmp_path / "log.jsonl", "-o", tmp_path / "out", "--split", "none"]
    line = one_error_line(eimf(*asked), 3)
    assert "log.jsonl:6:" in line and len(line) < 500
    assert eimf(*asked, "--on-error", "skip").returncode == 0


def test_circles_of_links(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    for command in (
        ["prepare", "one", "-o", "out"],
        ["cluster", "one"],
        ["eval", folder / "model", "one"],
        ["eval", "one", folder / "data"],
        ["join", "one", folder / "model", folder / "data", "-o", "out"],
        ["verify", "one"],
        ["recommend", "one", "--items", "a"],
        ["recommend", folder / "model", "--queries", "one"],
        ["recommend", folder / "model", "--all-users", folder / "data", "-o", "one"],
        ["train", folder / "data", "-o", "one"],
    ):
        assert "one" in one_error_line(eimf(*command, cwd=tmp_path), 2), command
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize(
    "changes", [{"max_length": 0}, {"max_length": -1}, {"interests": 0}, {"dimension": -3}, {"items": "many"}]
)
def test_sizes_of_a_model_are_checked(eimf: Eimf, folder: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in (folder / "model").iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    config = orjson.dumps({**orjson.loads((model / "config.json").read_bytes()), **changes})
    manifest = orjson.loads((model / "manifest.json").read_bytes())
    manifest["files"]["config.json"] = {"size": len(config), "sha256": hashlib.sha256(config).hexdigest()}
    (model / "config.json").write_bytes(config)
    (model / "manifest.json").write_bytes(orjson.dumps(manifest))
    artifact.verify(model)
    assert "config.json is damaged" in one_error_line(eimf("recommend", model, "--items", "tea-0"), 4)
    del manifest["format"]
    (model / "manifest.json").write_bytes(orjson.dumps(manifest))
    assert "has format None" in one_error_line(eimf("verify", model), 4)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("verify model <&- >&- 2>&-", 0),
        ("--version >&-", 0),
        ("recommend model <&-", 3),
        ("nonsense 2>&-", 2),
        ("--help | true", 0),
    ],
)
def test_closed_standard_streams(folder: Path, environment: dict[str, str], command: str, code: int) -> None:
    shell = f"'{sys.executable}' -m eimf_cli {command}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == code and b"unexpected" not in done.stderr, done.stderr.decode()


def _list(path: Path) -> None:
    path.write_text("[1, 2, 3]\n")


def _rubbish(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(300))


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _wide(path: Path) -> None:
    path.write_bytes(path.read_text().encode("utf-16"))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


READERS = {
    "similar model tea-0 --only-items ids.txt": ("ids.txt", (_rubbish, _nothing, _wide, _folder)),
    "similar model tea-0 --new-items data/items.jsonl": ("data/items.jsonl", (_list, _cut, _wide, _folder)),
    "serve model --port 0 --boost boost.csv": ("boost.csv", (_list, _rubbish, _nothing, _wide, _folder)),
    "score labels.jsonl --samples samples.jsonl --truth data/items.jsonl": (
        "labels.jsonl", (_list, _rubbish, _cut, _nothing, _wide, _folder)
    ),
    "score  labels.jsonl --samples samples.jsonl --truth data/items.jsonl": (
        "samples.jsonl", (_list, _cut, _nothing, _folder)
    ),
    "compare data --backbones narm --labels labels.jsonl -o runs": (
        "labels.jsonl", (_list, _rubbish, _cut, _nothing, _folder)
    ),
    "compare data --backbones narm --ranges ranges.toml -o runs": ("ranges.toml", (_list, _rubbish, _wide, _folder)),
    "join model other data -o joint": ("data/sequences.jsonl", (_list, _rubbish, _cut, _nothing, _wide, _folder)),
    "run log.csv -o shop": ("log.csv", (_rubbish, _nothing)),
    "run  log.csv --items items.csv -o shop": ("items.csv", (_nothing, _folder)),
}  # fmt: skip
"""Commands, a file that they read, and how it is damaged."""
OPENERS = (
    "similar model tea-0", "verify model", "export model --vectors vectors.parquet", "join other model data -o joint",
    "serve model --port 0",
)  # fmt: skip


@pytest.fixture(scope="module")
def inputs(folder: Path) -> Path:
    """What the commands of `READERS` and `OPENERS` read."""
    shutil.copytree(folder / "model", folder / "other")
    (folder / "ids.txt").write_text("tea-0\ntea-1\n")
    (folder / "boost.csv").write_text("item,factor\ntea-0,2\n")
    (folder / "items.csv").write_text("item,title\nx,Tea\n")
    (folder / "ranges.toml").write_text("dimension = [8, 16]\n")
    sample = '{"key":"0123456789abcdef","user":"u","cluster":0,"cluster_size":3,"distance":0.1,"history":[]}\n'
    (folder / "samples.jsonl").write_text(sample)
    (folder / "labels.jsonl").write_text('{"user":"u","interests":[{"name":"tea"}]}\n')
    return folder


@pytest.mark.parametrize(
    ("command", "name", "damage"),
    [(command, name, damage) for command, (name, damages) in READERS.items() for damage in damages],
)
def test_every_command_tells_a_damaged_file(
    eimf: Eimf, inputs: Path, tmp_path: Path, command: str, name: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(inputs, tmp_path / "here")
    damage(tmp_path / "here" / name)
    settings = damage is _folder or name.endswith(".toml")
    line = one_error_line(eimf(*command.split(), cwd=tmp_path / "here"), 2 if settings else 3)
    assert name in line and "unexpected" not in line.partition("JSON object (")[0] and len(line) < 400
    assert damage is not _folder or "is a directory, expected a file" in line


@pytest.mark.parametrize("command", OPENERS)
@pytest.mark.parametrize(
    ("name", "damage"),
    [("config.json", _nothing), ("weights.safetensors", _cut), ("items.jsonl", _folder), ("manifest.json", _rubbish)],
)
def test_every_command_tells_a_damaged_model(
    eimf: Eimf, inputs: Path, tmp_path: Path, command: str, name: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(inputs, tmp_path / "here")
    damage(tmp_path / "here" / "model" / name)
    line = one_error_line(eimf(*command.split(), cwd=tmp_path / "here"), 4)
    assert f"model: {name}" in line and len(line) < 400
    assert not {path.name for path in (tmp_path / "here").iterdir()} & {"vectors.parquet", "joint"}
