"""Bad input for every step: one clear line, the right exit code, nothing half-written."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from eimf_core.model_directory.model_files import PARTS
from tests.conftest import ROOT, Eimf, one_error_line
from tests.small_data import write_small_data

LOG = "user,item,time\n" + "".join(f"u{n % 9},i{n % 7},{1_000_000 + n}\n" for n in range(200))
SAMPLE = (
    '{"key": "0123456789abcdef", "user": "u", "cluster": 0, "cluster_size": 3, "distance": 0.1,'
    ' "history": [{"item": "a", "title": "Green Tea"}, {"item": "b", "title": "Wool Yarn"}]}\n'
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, eimf: Eimf) -> Path:
    """A model trained for one epoch without the text encoder."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "data").mkdir()
    write_small_data(folder / "data")
    done = eimf("train", folder / "data", "--fast", "--epochs", "1", "--item-vectors", "random", "-o", folder / "model")
    assert done.returncode == 0, done.stderr
    return folder / "model"


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def left_behind(folder: Path, before: set[Path]) -> set[Path]:
    return {path for path in folder.rglob("*") if ".cache" not in path.parts} - before


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


# -- prepare


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("missing.csv", None, 2, "missing.csv"),
        ("empty.csv", b"", 3, "empty"),
        ("header.csv", b"user,item,time\n", 3, "header.csv"),
        # without the time in its header, which would be another test in each process
        ("cut.csv.gz", gzip.compress(LOG.encode(), mtime=0)[:60], 3, "cut.csv.gz"),
        ("row.csv", LOG.replace("u3,i3,1000003\n", "u3,i3\n").encode(), 3, "row.csv:5"),
        ("time.csv", LOG.replace("u3,i3,1000003\n", "u3,i3,soon\n").encode(), 3, "time.csv:5"),
        ("blank.csv", LOG.replace("u3,i3,1000003\n", ",i3,1000003\n").encode(), 3, "blank.csv:5"),
        ("columns.csv", b"a,b,c\n1,2,3\n", 3, "columns.csv"),
        ("binary.csv", bytes(range(256)) * 20, 3, "binary.csv"),
    ],
)
def test_prepare(eimf: Eimf, tmp_path: Path, name: str, content: bytes | None, code: int, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = everything(tmp_path)
    line = one_error_line(eimf("prepare", tmp_path / name, "-o", tmp_path / "out"), code)
    assert words in line
    assert not [path for path in left_behind(tmp_path, before) if path.is_file()]


def test_prepare_unknown_items_file_and_directory(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    for items in (tmp_path / "none.jsonl", tmp_path):
        one_error_line(eimf("prepare", tmp_path / "log.csv", "--items", items, "-o", tmp_path / "out"), 2)
    (tmp_path / "nothing").mkdir()
    one_error_line(eimf("prepare", tmp_path / "nothing", "-o", tmp_path / "out"), 2)


def test_prepare_without_times_names_the_other_splits(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n" + "".join(f"u{n % 9},i{n % 7}\n" for n in range(200)))
    line = one_error_line(eimf("prepare", tmp_path / "log.csv", "-o", tmp_path / "out"), 2)
    assert "leave-one-out" in line


# -- the steps that read a prepared directory


@pytest.mark.parametrize("step", ["cluster", "train", "eval"])
@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("sequences.jsonl", b"", "sequences.jsonl: is empty"),
        ("sequences.jsonl", b'{"user": "u", "split": "train", "items": ["tea-1"]}\nno json\n', "sequences.jsonl:2"),
        ("sequences.jsonl", b'{"user": "u", "split": "train"}\n', "field 'items'"),
        ("sequences.jsonl", b'{"user": [7], "split": "train", "items": ["tea-1"]}\n', "field 'user'"),
        ("sequences.jsonl", b'{"user": "u", "split": "train", "items": ["nope"]}\n', "'nope'"),
        ("items.jsonl", b'{"item": "tea-1"}\n', "field 'title'"),
        ("items.jsonl", b'{"item": "a", "title": "A"}\n{"item": "a", "title": "A"}\n', "items.jsonl:2"),
    ],
)
def test_broken_data(eimf: Eimf, data: Path, model: Path, step: str, file: str, content: bytes, words: str) -> None:
    (data / file).write_bytes(content)
    before = everything(data.parent)
    out = data.parent / "out"
    arguments = {"cluster": (data,), "train": (data,), "eval": (model, data)}[step]
    assert words in one_error_line(eimf(step, *arguments, "-o", out), 3)
    assert not left_behind(data.parent, before)


@pytest.mark.parametrize("step", ["cluster", "train", "eval"])
def test_missing_data(eimf: Eimf, data: Path, model: Path, step: str) -> None:
    prefix = (model,) if step == "eval" else ()
    out = data.parent / "out"
    assert "nowhere" in one_error_line(eimf(step, *prefix, data / "nowhere", "-o", out), 2)
    one_error_line(eimf(step, *prefix, data / "items.jsonl", "-o", out), 2)
    (data / "items.jsonl").unlink()
    assert "items.jsonl" in one_error_line(eimf(step, *prefix, data, "-o", out), 2)
    assert not out.exists()


def test_truncated_gzip_line_by_line(eimf: Eimf, tmp_path: Path) -> None:
    packed = gzip.compress(SAMPLE.encode() * 500)
    (tmp_path / "samples.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    done = eimf("label", tmp_path / "samples.jsonl.gz", "--engine", "keywords", "-o", tmp_path / "labels.jsonl")
    assert "samples.jsonl.gz" in one_error_line(done, 3)
    assert not (tmp_path / "labels.jsonl").exists()


# -- label


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 2, "samples.jsonl"),
        (b"", 3, "empty"),
        (SAMPLE.encode() + b"{", 3, "samples.jsonl:2"),
        (SAMPLE.replace('"title": "Green Tea"', '"title": 3').encode(), 3, "title"),
        (b'{"user": "", "history": []}', 3, "samples.jsonl:1: needs 'user' or 'key'"),
    ],
)
def test_label_samples(eimf: Eimf, tmp_path: Path, content: bytes | None, code: int, words: str) -> None:
    if content is not None:
        (tmp_path / "samples.jsonl").write_bytes(content)
    done = eimf("label", tmp_path / "samples.jsonl", "--engine", "keywords", "-o", tmp_path / "labels.jsonl")
    assert words in one_error_line(done, code)
    assert not (tmp_path / "labels.jsonl").exists()


def test_label_of_what_is_neither_samples_nor_a_model(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    words = "data: is a directory without manifest.json, which is no model"
    assert words in one_error_line(eimf("label", "data", "--engine", "keywords", cwd=tmp_path), 2)
    (tmp_path / "data" / "sequences.jsonl").write_text("")
    line = one_error_line(eimf("label", "data", "--engine", "keywords", cwd=tmp_path), 2)
    assert "is what prepare wrote, not samples; eimf cluster data -o samples.jsonl" in line


def test_label_broken_gguf(eimf: Eimf, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    (tmp_path / "samples.jsonl").write_text(SAMPLE)
    whole = (ROOT / "examples" / "labeler" / "shop-labeler.gguf").read_bytes()
    cases = {"none.gguf": None, "empty.gguf": b"", "text.gguf": b"hello " * 500, "cut.gguf": whole[: len(whole) // 2]}
    for name, content in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        done = eimf("label", tmp_path / "samples.jsonl", "--model", tmp_path / name, "-o", tmp_path / "labels.jsonl")
        assert name in one_error_line(done, 2 if content is None else 4)
        assert not (tmp_path / "labels.jsonl").exists()
    done = eimf("label", tmp_path / "samples.jsonl", "--model", tmp_path, "-o", tmp_path / "labels.jsonl")
    one_error_line(done, 2)


def test_label_without_a_model_says_what_to_give(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(SAMPLE)
    assert "--model" in one_error_line(eimf("label", tmp_path / "samples.jsonl"), 2)


# -- train


def test_train_unknown_backbone_lists_those_there_are(eimf: Eimf, data: Path) -> None:
    done = eimf("train", data, "--backbone", "transformer9000", "-o", data.parent / "out")
    assert "comirec-sa" in one_error_line(done, 2)


def test_train_with_labels_of_other_data(eimf: Eimf, data: Path) -> None:
    labels = data.parent / "labels.jsonl"
    (data.parent / "samples.jsonl").write_text(SAMPLE)
    assert eimf("label", data.parent / "samples.jsonl", "--engine", "keywords", "-o", labels).returncode == 0
    done = eimf("train", data, "--fast", "--labels", labels, "--epochs", "1", "-o", data.parent / "out")
    assert "labels.jsonl" in one_error_line(done, 3)
    labels.write_bytes(labels.read_bytes().replace(b'"interests"', b'"hobbies"'))
    done = eimf("train", data, "--fast", "--labels", labels, "--epochs", "1", "-o", data.parent / "out")
    assert "labels.jsonl:1: field 'interests'" in one_error_line(done, 3)
    assert not (data.parent / "out").exists()


# -- eval and recommend


@pytest.mark.parametrize("part", [*PARTS, "manifest.json"])
def test_model_with_a_part_missing_or_cut(eimf: Eimf, data: Path, model: Path, part: str) -> None:
    content = (model / part).read_bytes()
    for broken in (None, content[: len(content) // 2]):
        (model / part).unlink()
        if broken is not None:
            (model / part).write_bytes(broken)
        if broken != content:
            assert part in one_error_line(eimf("recommend", model, "--items", "tea-1"), 4)
            assert part in one_error_line(eimf("eval", model, data, "-o", data.parent / "metrics.jsonl"), 4)
        (model / part).write_bytes(content)
    assert not (data.parent / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "log.csv"],
        ["cluster", "data", "--clusters", "900"],
        ["label", "samples.jsonl", "--engine", "server"],
        ["train", "data", "--labels", "log.csv"],
        ["eval", "data", "data"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_refused_command_leaves_no_folder(eimf: Eimf, data: Path, arguments: list[str]) -> None:
    (data.parent / "log.csv").write_text("user,item,time\na,b,c\n")
    (data.parent / "samples.jsonl").write_text(SAMPLE)
    done = eimf(*arguments, "-o", "new/folder/out", cwd=data.parent)
    assert done.returncode in (2, 3, 4), done.stderr
    assert not (data.parent / "new").exists()


def test_missing_model(eimf: Eimf, data: Path) -> None:
    assert "nowhere" in one_error_line(eimf("recommend", data / "nowhere", "--items", "tea-1"), 2)
    assert "nowhere" in one_error_line(eimf("eval", data / "nowhere", data), 2)


def test_bad_query_lines_keep_what_was_answered(eimf: Eimf, model: Path) -> None:
    done = eimf("recommend", model, stdin=b'{"id": "1", "history": ["tea-1"]}\n{"history": 5}\n')
    assert "<stdin>:2: field 'history'" in one_error_line(done, 3)
    assert done.stdout.count(b"\n") == 1


def test_unknown_options_and_values(eimf: Eimf) -> None:
    for arguments in (
        ["--nonsense"],
        ["train", "--nonsense"],
        ["train"],
        ["prepare", "x", "--split", "sometimes", "-o", "y"],
    ):
        one_error_line(eimf(*arguments), 2)
