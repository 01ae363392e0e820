"""The model directory: written whole, opened without torch, anything broken said in one line."""

from __future__ import annotations

import dataclasses
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import orjson
import pytest

from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import files, weights_file
from eimf_core.model_directory import artifact, model_files
from eimf_core.model_directory import model_items as of_items
from eimf_core.model_directory.model_files import PARTS
from eimf_core.model_directory.opened_model import ModelConfig
from eimf_core.records import Item, SemanticInterest
from tests.small_models import mean_network


def contents() -> artifact.Contents:
    vectors = np.zeros((4, 2), dtype=np.float32)
    vectors[1:] = [[1, 0], [0, 1], [1, 1]]
    return artifact.Contents(
        config=ModelConfig(backbone="mean", items=3, dimension=2, interests=1, max_length=2),
        items=[Item(item=name, title=f"Title {name} \x1b[31m ünï") for name in ("a", "b", "c")],
        weights={
            "item_vectors": vectors,
            "item_counts": np.array([0, 5, 3, 1], dtype=np.int64),
            "named_vectors": np.ones((1, 2), dtype=np.float32),
        },
        network=mean_network(),
        named=[SemanticInterest(name="everything")],
        epochs=[{"epoch": 1}],
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    artifact.write(tmp_path / "model", contents())
    return tmp_path / "model"


def test_round_trip(model: Path) -> None:
    opened = artifact.open_model(model)
    assert [opened.catalogue.index(item) for item in ("a", "b", "c", "d")] == [1, 2, 3, 0]
    assert opened.catalogue.item(2).title.startswith("Title b")
    assert [item.item for item in opened.catalogue] == ["a", "b", "c"]
    assert opened.named[0].name == "everything"
    interests, attention = opened.interests([np.array([1, 2]), np.array([3, 3, 1])])
    np.testing.assert_allclose(interests[:, 0], [[0.5, 0.5], [1, 0.5]])
    np.testing.assert_allclose(attention.sum(axis=2), 1)
    artifact.verify(model)


def test_items_are_read_in_blocks(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_items, "BLOCK", 2)
    catalogue = artifact.open_model(model).catalogue
    assert [item.item for item in catalogue] == ["a", "b", "c"]
    assert catalogue.titles() == [item.title for item in contents().items]


def test_batch_padding_changes_nothing(model: Path) -> None:
    opened = artifact.open_model(model)
    alone, _ = opened.interests([np.array([2])])
    together, _ = opened.interests([np.array([2]), np.array([1, 3])])
    np.testing.assert_allclose(alone[0], together[0])


@pytest.mark.parametrize("part", (*PARTS, "manifest.json"))
def test_missing_truncated_and_garbage_parts(model: Path, part: str) -> None:
    original = (model / part).read_bytes()
    for broken in (None, original[: len(original) // 2], b"\x00garbage" * 20):
        if broken is None:
            (model / part).unlink()
        else:
            (model / part).write_bytes(broken)
        with pytest.raises(ModelError) as caught:
            artifact.open_model(model)
        assert part in str(caught.value) and "\n" not in str(caught.value)
    (model / part).write_bytes(original)
    artifact.open_model(model)


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_byte_is_found_when_a_model_is_opened(
    model: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray((model / part).read_bytes())
    content[-1] ^= 1
    (model / part).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{part} is not the file that training wrote"):
        artifact.open_model(model)
    # of larger files only on request
    monkeypatch.setattr(model_files, "LARGEST_HASHED", len(content) - 1)
    if part == "weights.safetensors":
        artifact.open_model(model)
    with pytest.raises(ModelError, match="differs"):
        artifact.verify(model)


def test_missing_path_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such"):
        artifact.open_model(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        artifact.open_model(tmp_path / "file")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sequences.jsonl").touch()
    with pytest.raises(ModelError, match=r"is what prepare wrote, not a model; eimf train .*data -o MODEL makes one"):
        artifact.open_model(tmp_path / "data")


def test_replacing_keeps_an_opened_model_readable(model: Path) -> None:
    opened = artifact.open_model(model)
    artifact.write(model, contents())
    assert opened.catalogue.item(1).item == "a"
    artifact.open_model(model)
    assert sorted(path.name for path in model.parent.iterdir()) == ["model", "model.previous"]


def test_foreign_directory_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="not a model"):
        artifact.write(tmp_path, contents())
    shutil.rmtree(tmp_path)


def test_writing_takes_little_memory_beside_the_weights(tmp_path: Path) -> None:
    import tracemalloc

    made = contents()
    large = {**made.weights, "backbone.large": np.zeros((1 << 18, 32), dtype=np.float32)}
    tracemalloc.start()
    artifact.write(tmp_path / "model", dataclasses.replace(made, weights=large))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the array is 34 MB, and was held three times when the file was one string
    assert peak < 8 << 20
    artifact.verify(tmp_path / "model")


def test_a_file_that_the_library_refuses_is_found_by_verify(model: Path) -> None:
    part = model / "weights.safetensors"
    content = part.read_bytes()
    # two tensors in one place, which reading them would not notice
    header = int.from_bytes(content[:8], "little")
    entries = orjson.loads(content[8 : 8 + header])
    entries["twice"] = entries["item_vectors"]
    described = orjson.dumps(entries)
    forged = len(described).to_bytes(8, "little") + described + content[8 + header :]
    part.write_bytes(forged)
    manifest = orjson.loads((model / "manifest.json").read_bytes())
    manifest["files"][part.name] = {"size": len(forged), "sha256": files.sha256(part)}
    (model / "manifest.json").write_bytes(orjson.dumps(manifest))
    artifact.open_model(model)
    with pytest.raises(ModelError, match=r"weights\.safetensors: is not a whole safetensors file"):
        artifact.verify(model)


def test_what_cannot_be_written_is_the_systems_error_and_leaves_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            weights_file.write(tmp_path / "x.safetensors", {"a": np.zeros(1 << 16, np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.iterdir())
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    weights_file.write(tmp_path / "x.safetensors", {"a": transposed})
    with open(tmp_path / "x.safetensors", "rb") as stream:
        np.testing.assert_array_equal(weights_file.map_file(stream.fileno(), "x")["a"], transposed)
