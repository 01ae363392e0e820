"""The model directory: everything a trained model is, as data, and how it is opened without torch.

    config.json               ModelConfig
    items.jsonl               the catalogue, line i is item index i (from 1)
    items.index.safetensors   offsets of the lines, and the ids by hash for look-up
    weights.safetensors       item_vectors (N+1, d), item_scale (N+1,)?, item_counts (N+1,),
                              adapter_weight (d, D)?, adapter_bias (d,)?, named_vectors (n, d)?,
                              text_weight (d, D)?, text_bias (d,)?, item_features (N+1, F)?,
                              backbone.NAME: the network's weights, for training that goes on from them;
                              of an ensemble item_lengths (N+1, M) and backbone.MEMBER.NAME
    interests.onnx            history's item vectors and mask -> interests and attention
    named.jsonl               the named interests, line i belongs to named_vectors[i]
    train.jsonl               one line per epoch
    item_groups.safetensors   groups of the items and their names (see `naming.item_groups`)
    next_items.safetensors    what followed each item in training, if it counts in the score (see `next_items`)
    index.safetensors         inverted lists of items, if an index was built (see `recommend.index_search`)
    manifest.json             sizes and sha256 of the files above, provenance; written last

Opening checks sizes, headers, shapes and the hashes of all but very large files (see `model_files.check`);
`verify` checks all hashes. Nothing in the directory chooses code, paths outside itself, downloads or a text encoder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt
import orjson

from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import directories, files, jsonl, outputs, weights_file
from eimf_core.model_directory import model_files, next_items
from eimf_core.model_directory.model_files import FORMAT
from eimf_core.model_directory.model_items import index_of, lines_of
from eimf_core.model_directory.opened_model import ModelConfig, OpenedModel
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Item, SemanticInterest


@dataclass(frozen=True)
class Contents:
    """What training hands over. Shapes as in the module's description; `network` is ONNX bytes,
    `item_groups` the arrays of the groups of items, `next_items` those of the graph that the config tells of.

    The network takes `vectors` float32 (B, L, d), oldest item first, padded at the end, and `mask`
    bool (B, L); it gives `interests` float32 (B, K, d) and `attention` float32 (B, K, L), whose
    rows sum to 1 over the mask. It may also read `features` int64 (B, L, F), the rows of item_features,
    `days` float32 (B, L), days before the last item or -1 where unknown, `events` int64 (B, L), kinds
    of behaviour by number, 0 where unknown, and `lengths` float32 (B, L, M), the rows of item_lengths. An item's
    score is max_k <interest_k, item_vector> * item_scale, plus what `next_items` adds.
    """

    config: ModelConfig
    items: list[Item]
    weights: dict[str, npt.NDArray[Any]]
    network: bytes
    named: list[SemanticInterest] = field(default_factory=list)
    item_groups: dict[str, npt.NDArray[Any]] | None = None
    next_items: dict[str, npt.NDArray[Any]] | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)


def previous(path: str | Path) -> Path:
    """Where the model is kept that was at a path before the last training wrote to it: `MODEL.previous`."""
    target = files.resolved(path)
    return target.with_name(f"{target.name}.previous")


def check_output(path: str | Path) -> None:
    """Raise ConfigError where no model directory may be put, or where files of other kinds would be lost."""
    outputs.refuse_common_folder(path)
    for place in (Path(path), previous(path)):
        _check_replaceable(place)


def _check_replaceable(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise ConfigError(f"{place}: is a file, expected a directory to write")
    held = {entry.name for entry in place.iterdir()} if place.is_dir() else set()
    if held and "manifest.json" not in held:
        raise ConfigError(f"{place}: is not empty and not a model directory; choose another name")
    if others := sorted(held - {"manifest.json", *model_files.PARTS, *model_files.OPTIONAL}):
        raise ConfigError(f"{place}: holds {others[0]}, which is no part of a model and would be lost; move it away")


def write(path: str | Path, contents: Contents, reporter: Reporter = SILENT) -> None:
    """Write a model directory as a whole, in the place of an older one, which is kept as `previous`.

    Args:
        path: the directory.
        contents: what it holds.
        reporter: gets remarks.

    Raises:
        ConfigError: there is something else at `path`.
    """
    if len(contents.items) != contents.config.items:
        raise ValueError("config.items does not count the items")
    check_output(path)
    replaced = (Path(path) / "manifest.json").exists()
    with directories.replaced(path, keep=previous(path) if replaced else None) as folder:
        described: dict[str, dict[str, Any]] = {}

        def put(name: str, content: Iterable[bytes] | dict[str, npt.NDArray[Any]]) -> None:
            if isinstance(content, dict):
                weights_file.write(folder / name, content)
            else:
                with open(folder / name, "wb") as stream:
                    stream.writelines(content)
            described[name] = _described(folder / name)

        lengths: list[int] = []
        put("config.json", [orjson.dumps(msgspec.to_builtins(contents.config), option=orjson.OPT_INDENT_2)])
        put("items.jsonl", lines_of(contents.items, lengths))
        put("items.index.safetensors", index_of(contents.items, lengths))
        put("weights.safetensors", contents.weights)
        if contents.item_groups is not None:
            put("item_groups.safetensors", contents.item_groups)
        if contents.next_items is not None:
            put(next_items.PART, contents.next_items)
        put("interests.onnx", [contents.network])
        put("named.jsonl", map(jsonl.encode, contents.named))
        put("train.jsonl", (orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in contents.epochs))
        manifest = {**contents.provenance, "format": FORMAT, "files": described}
        (folder / "manifest.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2, default=str))
    if replaced:
        reporter.note(f"{path}: the model that was there is kept as {previous(path)}")


def _described(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": files.sha256(path)}


def add_arrays(path: str | Path, name: str, arrays: dict[str, npt.NDArray[Any]], provenance: dict[str, Any]) -> None:
    """Write a model directory anew, with a safetensors file that it may have beside the others.

    Args:
        path: the model directory.
        name: one of `model_files.OPTIONAL`; an older one of this name is replaced.
        arrays: its content.
        provenance: joins what the manifest says.

    Raises:
        ConfigError: the directory holds files of other kinds, which would be lost.
        ModelError: the directory is not whole.
    """
    _check_replaceable(Path(path))
    with files.locked(path), model_files.opened(path) as handles, directories.replaced(path) as folder:
        manifest = model_files.read_manifest(str(path), handles)
        for part in manifest["files"]:
            if part != name:
                with os.fdopen(os.dup(handles[part]), "rb") as source, open(folder / part, "wb") as target:
                    source.seek(0)
                    shutil.copyfileobj(source, target)
        weights_file.write(folder / name, arrays)
        manifest = {**manifest, **provenance, "files": {**manifest["files"], name: _described(folder / name)}}
        (folder / "manifest.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2, default=str))


def open_model(path: str | Path, *, private: bool = False) -> OpenedModel:
    """Open a model directory; ModelError says in one line what is missing or broken.

    The directory is opened once and its files relative to that handle, so that a replacement in
    the meantime is seen whole or not at all.

    Args:
        path: the model directory.
        private: read copies of the files, all of them hashed, for one that is open for long: its files may be written
            over in place.
    """
    for last_try in (False, True):
        try:
            with contextlib.ExitStack() as stack:
                handles = stack.enter_context(model_files.opened(path))
                if private:
                    handles = stack.enter_context(model_files.copied(handles))
                model_files.check(str(path), handles, whole=private)
                return OpenedModel(str(path).rstrip("/"), handles)
        except FileNotFoundError as error:
            # a writer may have replaced the directory between two opens
            if last_try:
                raise _incomplete(path, error) from None
    raise AssertionError("not reached")


def verify(path: str | Path) -> None:
    """Compare the sha256 of every file, large ones too, with the manifest, and check the safetensors files.

    Raises:
        ConfigError: the path is no directory.
        ModelError: names the first file that differs, or that is missing.
    """
    try:
        with model_files.opened(path) as handles:
            model_files.check(str(path), handles, whole=True)
            for part, handle in handles.items():
                if part.endswith(".safetensors"):
                    weights_file.check(handle, f"{path}/{part}")
    except FileNotFoundError as error:
        raise _incomplete(path, error) from None


def _incomplete(path: str | Path, error: FileNotFoundError) -> ModelError:
    if (Path(path) / "sequences.jsonl").exists():
        return ModelError(f"{path}: is what prepare wrote, not a model; eimf train {path} -o MODEL makes one")
    return ModelError(f"{path}: {error.filename} is missing; train or copy the model again")
