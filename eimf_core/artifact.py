"""The model directory: everything a trained model is, as data, and how it is opened without torch.

    config.json               ModelConfig
    items.jsonl               the catalogue, line i is item index i (from 1)
    items.index.safetensors   offsets of the lines, and the ids by hash for look-up
    weights.safetensors       item_vectors (N+1, d), item_scale (N+1,)?, item_counts (N+1,),
                              adapter_weight (d, D)?, adapter_bias (d,)?, named_vectors (n, d)?,
                              text_weight (d, D)?, text_bias (d,)?, item_features (N+1, F)?,
                              backbone.NAME: the network's weights, for training that goes on from them
    interests.onnx            history's item vectors and mask -> interests and attention
    named.jsonl               the named interests, line i belongs to named_vectors[i]
    train.jsonl               one line per epoch
    words.safetensors         names made of words, where no interest is named (see naming.word_names)
    index.safetensors         lists of near items, if an index was built (see recommend.approximate)
    manifest.json             sizes and sha256 of the files above, provenance; written last

Opening checks sizes, headers, shapes and the hashes of all but very large files (see `parts.check`);
`verify` checks all hashes. Nothing in the directory
chooses code, paths outside itself, downloads or a text encoder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from eimf_core import files, jsonl, model_files, weights_file
from eimf_core.errors import ConfigError, InputError, ModelError
from eimf_core.model_files import FORMAT
from eimf_core.model_items import Catalogue, index_of, lines_of
from eimf_core.naming.word_names import WordNames, word_names
from eimf_core.padding import padded
from eimf_core.records import Item, SemanticInterest

Floats = npt.NDArray[np.float32]
OUTSIDE = b"\x0a\x08location"
"""How ONNX writes that a tensor lies in another file: the key of its first entry in `external_data`."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Shapes and choices a reader needs. `training` is the full training configuration, for people.

    `text_encoder` names the encoder of the labels and item texts and its hash; it is compared,
    never loaded from here. `seen` is the setting validation used. `events` are the kinds of behaviour that
    the network knows, by number from 1.
    """

    format: int = FORMAT
    backbone: str
    items: int
    dimension: int
    interests: int
    max_length: int
    text_encoder: str | None = None
    text_dimension: int | None = None
    events: list[str] = []
    seen: str = "drop"
    seed: int = 0
    training: dict[str, Any] = {}


@dataclass(frozen=True)
class Contents:
    """What training hands over. Shapes as in the module's description; `network` is ONNX bytes.

    The network takes `vectors` float32 (B, L, d), oldest item first, padded at the end, and `mask`
    bool (B, L); it gives `interests` float32 (B, K, d) and `attention` float32 (B, K, L), whose
    rows sum to 1 over the mask. It may also read `features` int64 (B, L, F), the rows of item_features,
    `days` float32 (B, L), days before the last item or -1 where unknown, and `events` int64 (B, L), kinds
    of behaviour by number, 0 where unknown. An item's score is
    max_k <interest_k, item_vector> * item_scale.
    """

    config: ModelConfig
    items: list[Item]
    weights: dict[str, npt.NDArray[Any]]
    network: bytes
    named: list[SemanticInterest] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)


def write(path: str | Path, contents: Contents) -> None:
    """Write a model directory as a whole, in the place of an older one."""
    if len(contents.items) != contents.config.items:
        raise ValueError("config.items does not count the items")
    target = Path(path)
    if target.is_dir() and any(target.iterdir()) and not (target / "manifest.json").exists():
        raise ConfigError(f"{path}: is not empty and not a model directory; choose another name")
    with files.replaced_directory(path) as folder:
        described: dict[str, dict[str, Any]] = {}

        def put(name: str, content: Iterable[bytes | memoryview]) -> None:
            described[name] = _put(folder / name, content)

        lengths: list[int] = []
        put("config.json", [orjson.dumps(msgspec.to_builtins(contents.config), option=orjson.OPT_INDENT_2)])
        put("items.jsonl", lines_of(contents.items, lengths))
        put("items.index.safetensors", weights_file.blocks(index_of(contents.items, lengths)))
        put("weights.safetensors", weights_file.blocks(contents.weights))
        if not contents.named:
            vectors, scale = contents.weights["item_vectors"], contents.weights.get("item_scale")
            made = word_names(len(contents.items), lambda index: contents.items[index - 1], vectors, scale)
            put("words.safetensors", weights_file.blocks(made.arrays()))
        put("interests.onnx", [contents.network])
        put("named.jsonl", map(jsonl.encode, contents.named))
        put("train.jsonl", (orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in contents.epochs))
        manifest = {**contents.provenance, "format": FORMAT, "files": described}
        (folder / "manifest.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2, default=str))


def _put(path: Path, content: Iterable[bytes | memoryview]) -> dict[str, Any]:
    """Write a file part by part; its size and sha256."""
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as stream:
        for part in content:
            stream.write(part)
            digest.update(part)
            size += len(part)
    return {"size": size, "sha256": digest.hexdigest()}


def add_part(path: str | Path, name: str, content: bytes, provenance: dict[str, Any]) -> None:
    """Write a model directory anew with one of `parts.OPTIONAL`, in the place of the old one.

    `provenance` joins what the manifest says. Raises ModelError for a directory that is not whole.
    """
    with files.locked(path), model_files.opened(path) as handles, files.replaced_directory(path) as folder:
        manifest = model_files.manifest_of(str(path), handles)
        for part in manifest["files"]:
            if part != name:
                with os.fdopen(os.dup(handles[part]), "rb") as source, open(folder / part, "wb") as target:
                    source.seek(0)
                    shutil.copyfileobj(source, target)
        (folder / name).write_bytes(content)
        described = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest = {**manifest, **provenance, "files": {**manifest["files"], name: described}}
        (folder / "manifest.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2, default=str))


class Model:
    """An opened model directory. Arrays are read-only views of the mapped files.

    `vectors` (N+1, d), `scale` (N+1,) or None, `counts` (N+1,), `adapter` (weight (d, D), bias
    (d,)) or None, `named_vectors` (n, d) beside `named`. `text_map` (weight (d, D), bias (d,)) or None
    gives an item without interactions a place from its text vector. `word_names` are names by words, None in
    a model that was trained with labels or written before there were any. `backbone` are the network's weights
    by name, which only training reads. `provenance` is what the manifest says.
    """

    def __init__(self, name: str, handles: dict[str, int]) -> None:
        self.name = name
        self.provenance = model_files.manifest_of(name, handles)
        self.config = _config(name, model_files.content(handles["config.json"]))
        weights = weights_file.map_file(handles["weights.safetensors"], f"{name}/weights.safetensors")
        index = weights_file.map_file(handles["items.index.safetensors"], f"{name}/items.index.safetensors")
        self.catalogue = Catalogue(os.dup(handles["items.jsonl"]), index, name)
        rows, width = self.config.items + 1, self.config.dimension
        self.vectors = self._weight(weights, "item_vectors", (rows, width))
        self.counts = self._weight(weights, "item_counts", (rows,))
        self.scale = self._weight(weights, "item_scale", (rows,)) if "item_scale" in weights else None
        self.features: npt.NDArray[np.int32] | None = None
        if "item_features" in weights:
            self.features = self._weight(weights, "item_features", (rows, weights["item_features"].shape[-1]))
        self.named = list(_lines(name, model_files.content(handles["named.jsonl"])))
        self.named_vectors = np.zeros((0, width), dtype=np.float32)
        if self.named:
            self.named_vectors = self._weight(weights, "named_vectors", (len(self.named), width))
        self.adapter = self._linear(weights, "adapter")
        self.text_map = self._linear(weights, "text")
        prefix = "backbone."
        self.backbone = {name[len(prefix) :]: part for name, part in weights.items() if name.startswith(prefix)}
        self.event_numbers = {name: at for at, name in enumerate(self.config.events, start=1)}
        if self.config.events:
            self._weight(weights, "backbone.behaviours", (len(self.config.events) + 1, width))
        if len(self.catalogue) != self.config.items:
            raise ModelError(f"{name}: config.json counts {self.config.items} items, items.jsonl {len(self.catalogue)}")
        self.index: dict[str, npt.NDArray[Any]] | None = None
        if "index.safetensors" in handles:
            self.index = weights_file.map_file(handles["index.safetensors"], f"{name}/index.safetensors")
        self.word_names = self._words(handles)
        self._network = model_files.content(handles["interests.onnx"])
        self._epochs = model_files.content(handles["train.jsonl"])
        self._session: Any = None

    def _words(self, handles: dict[str, int]) -> WordNames | None:
        if "words.safetensors" not in handles:
            return None
        arrays = weights_file.map_file(handles["words.safetensors"], f"{self.name}/words.safetensors")
        try:
            return WordNames.from_arrays(arrays, self.config.dimension)
        except ValueError:
            raise ModelError(f"{self.name}: words.safetensors holds no names for this model; train it again") from None

    def _linear(self, weights: dict[str, npt.NDArray[Any]], key: str) -> tuple[Floats, Floats] | None:
        """A map from text to item space: weight (d, D) and bias (d,), None where there is none."""
        if f"{key}_weight" not in weights:
            return None
        width, text_width = self.config.dimension, self.config.text_dimension or 0
        return (
            self._weight(weights, f"{key}_weight", (width, text_width)),
            self._weight(weights, f"{key}_bias", (width,)),
        )

    def _weight(self, weights: dict[str, npt.NDArray[Any]], key: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if key not in weights:
            raise ModelError(f"{self.name}: weights.safetensors has no '{key}'; train the model again")
        if weights[key].shape != shape:
            raise ModelError(f"{self.name}: '{key}' has the shape {weights[key].shape}, expected {shape}")
        return weights[key]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """What training wrote after each epoch, as plain data."""
        try:
            return [dict(orjson.loads(line)) for line in self._epochs.splitlines()]
        except (orjson.JSONDecodeError, TypeError, ValueError):
            raise ModelError(f"{self.name}: train.jsonl is damaged") from None

    def interests(
        self, histories: Sequence[npt.NDArray[np.integer[Any]]],
        times: Sequence[npt.NDArray[np.float64]] | None = None,
        events: Sequence[npt.NDArray[np.integer[Any]]] | None = None,
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Interests (B, K, d) and attention (B, K, L) of histories of item indices, oldest first.

        Only the last `max_length` items count; L is the longest history that is left. Every
        history needs at least one item. `times` (unix seconds, one per item) and `events` (`event_numbers`,
        one per item, 0 where unknown) are used by a network that reads them; without them they are unknown.
        """
        kept = [history[-self.config.max_length :] for history in histories]
        items = padded(kept)
        mask = items > 0
        if not mask.any(axis=1).all():
            raise ValueError("a history is empty")
        inputs: dict[str, npt.NDArray[Any]] = {
            "vectors": self.vectors[items].astype(np.float32, copy=False),
            "mask": mask,
        }
        if self.features is not None:
            # an item that was added to the opened model has none
            known = items * (items < len(self.features))
            inputs["features"] = self.features[known].astype(np.int64)
        if "days" in self._inputs():
            inputs["days"] = np.full(mask.shape, -1, dtype=np.float32)
            for row, when in enumerate(times or ()):
                latest = when[-self.config.max_length :]
                inputs["days"][row, : len(latest)] = (latest.max() - latest) / 86_400
        if "events" in self._inputs():
            unknown = np.zeros(mask.shape, dtype=np.int64)
            inputs["events"] = padded([kinds[-self.config.max_length :] for kinds in events]) if events else unknown
        return self._run(inputs)

    def _inputs(self) -> list[str]:
        if self._session is None:
            self._session = _session(self.name, self._network)
        return [part.name for part in self._session.get_inputs()]

    def _run(self, inputs: dict[str, npt.NDArray[Any]]) -> tuple[Floats, Floats]:
        read = {name: inputs[name] for name in self._inputs()}
        outputs: tuple[Floats, Floats] = tuple(self._session.run(["interests", "attention"], read))
        return outputs


def open_model(path: str | Path) -> Model:
    """Open a model directory; ModelError says in one line what is missing or broken.

    The directory is opened once and its files relative to that handle, so that a replacement in
    the meantime is seen whole or not at all.
    """
    for last_try in (False, True):
        try:
            with model_files.opened(path) as handles:
                model_files.check(str(path), handles)
                return Model(str(path).rstrip("/"), handles)
        except FileNotFoundError as error:
            # a writer may have replaced the directory between two opens
            if last_try:
                raise ModelError(f"{path}: {error.filename} is missing; not a whole model directory") from None
    raise AssertionError("not reached")


def verify(path: str | Path) -> None:
    """Compare the sha256 of every file, large ones too, with the manifest; ModelError names the first that differs."""
    with model_files.opened(path) as handles:
        model_files.check(str(path), handles, whole=True)


def _config(name: str, content: bytes) -> ModelConfig:
    try:
        return msgspec.convert(orjson.loads(content), type=ModelConfig)
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise ModelError(f"{name}: config.json is damaged ({error})") from None


def _lines(name: str, content: bytes) -> Iterator[SemanticInterest]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            yield jsonl.decode(line, SemanticInterest, file=f"{name}/named.jsonl", number=number)
        except InputError as error:
            raise ModelError(str(error)) from None


def _session(name: str, network: bytes) -> Any:
    if OUTSIDE in network:
        raise ModelError(f"{name}: interests.onnx points to other files, which no model does; it is not to be trusted")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises several types of its own, all derived from Exception
        raise ModelError(f"{name}: interests.onnx cannot be read ({str(error).splitlines()[0]})") from None
