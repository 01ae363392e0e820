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

from eimf_core import files, jsonl, model_files, next_items, weights_file
from eimf_core.errors import ConfigError, InputError, ModelError
from eimf_core.model_files import FORMAT
from eimf_core.model_items import Catalogue, index_of, lines_of
from eimf_core.model_members import Blocks, Factors, Member, MemberConfig, Positive
from eimf_core.model_network import InterestNetwork
from eimf_core.next_items import NextItems, NextItemsConfig
from eimf_core.padding import length_groups, padded
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Item, SemanticInterest

Floats = npt.NDArray[np.float32]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Shapes and choices a reader needs. `training` is the full training configuration, for people.

    `text_encoder` names the encoder of the labels and item texts and its hash; it is compared,
    never loaded from here. `seen` is the setting validation used. `events` are the kinds of behaviour that
    the network knows, by number from 1. `members` are those of an ensemble (see `model_members`), whose `backbone`
    joins their names by +, whose `dimension` is the sum and whose `interests` is the product of theirs. `next_items`
    says what the graph of next items counts, None without one.
    """

    format: int = FORMAT
    backbone: str
    items: Positive
    dimension: Positive
    interests: Positive
    max_length: Positive
    text_encoder: str | None = None
    text_dimension: Positive | None = None
    events: list[str] = []
    seen: str = "drop"
    seed: int = 0
    members: list[MemberConfig] = []
    next_items: NextItemsConfig | None = None
    training: dict[str, Any] = {}


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
    target = files.real(path)
    return target.with_name(f"{target.name}.previous")


def check_output(path: str | Path) -> None:
    """Raise ConfigError where no model directory may be put, or where files of other kinds would be lost."""
    if files.real(path) in (Path("/"), Path.cwd()):
        raise ConfigError(f"{path}: is where you are or all there is; give the model a directory of its own")
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
    """Write a model directory as a whole, in the place of an older one, which is kept as `previous`."""
    if len(contents.items) != contents.config.items:
        raise ValueError("config.items does not count the items")
    check_output(path)
    replaced = (Path(path) / "manifest.json").exists()
    with files.replaced_directory(path, keep=previous(path) if replaced else None) as folder:
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
    with files.locked(path), model_files.opened(path) as handles, files.replaced_directory(path) as folder:
        manifest = model_files.read_manifest(str(path), handles)
        for part in manifest["files"]:
            if part != name:
                with os.fdopen(os.dup(handles[part]), "rb") as source, open(folder / part, "wb") as target:
                    source.seek(0)
                    shutil.copyfileobj(source, target)
        weights_file.write(folder / name, arrays)
        manifest = {**manifest, **provenance, "files": {**manifest["files"], name: _described(folder / name)}}
        (folder / "manifest.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2, default=str))


class Model:
    """An opened model directory. Arrays are read-only views of the mapped files.

    `vectors` (N+1, d), `scale` (N+1,) or None, `counts` (N+1,), `adapter` (weight (d, D), bias
    (d,)) or None, `named_vectors` (n, d) beside `named`. `text_map` (weight (d, D), bias (d,)) or None
    gives an item without interactions a vector from its text vector. `item_groups` are the arrays of the groups of
    items, None in a model that was written before there were any. `next_items` is the graph that counts in the score
    beside the vectors, or None. `members` are what training goes on from; `weights`, by name, and
    `network` (ONNX) are what the directory holds of them.
    `provenance` is what the manifest says. Of an ensemble, `lengths` (N+1, M) are those of
    the members' own item vectors; maps from text give these own vectors side by side, and `place` makes item
    vectors of them; `factors` say what the interests consist of.
    """

    def __init__(self, name: str, handles: dict[str, int]) -> None:
        self.name = name
        self.provenance = model_files.read_manifest(name, handles)
        self.config = _config(name, model_files.read(handles["config.json"]))
        weights = weights_file.map_file(handles["weights.safetensors"], f"{name}/weights.safetensors")
        self.weights = weights
        index = weights_file.map_file(handles["items.index.safetensors"], f"{name}/items.index.safetensors")
        self.catalogue = Catalogue(os.dup(handles["items.jsonl"]), index, name)
        rows, width = self.config.items + 1, self.config.dimension
        self.vectors = self._weight(weights, "item_vectors", (rows, width))
        self.counts = self._weight(weights, "item_counts", (rows,))
        self.scale = self._weight(weights, "item_scale", (rows,)) if "item_scale" in weights else None
        self.features: npt.NDArray[np.int32] | None = None
        if "item_features" in weights:
            self.features = self._weight(weights, "item_features", (rows, weights["item_features"].shape[-1]))
        self.named = list(_lines(name, model_files.read(handles["named.jsonl"])))
        self.named_vectors = np.zeros((0, width), dtype=np.float32)
        if self.named:
            self.named_vectors = self._weight(weights, "named_vectors", (len(self.named), width))
        self.adapter = self._linear(weights, "adapter")
        self.text_map = self._linear(weights, "text")
        members = self.config.members
        if members and (sum(each.dimension for each in members) != width or min(each.weight for each in members) <= 0):
            raise ModelError(f"{name}: config.json describes members that do not fit its dimension; train it again")
        self._blocks = Blocks([each.dimension for each in members], [each.weight for each in members])
        self.lengths = self._weight(weights, "item_lengths", (rows, len(members))) if members else None
        self.factors = Factors(members, width)
        prefix = "backbone."
        self._networks = {name[len(prefix) :]: part for name, part in weights.items() if name.startswith(prefix)}
        self.event_numbers = {name: at for at, name in enumerate(self.config.events, start=1)}
        for member in self.members if self.config.events else []:
            kinds = member.network.get("behaviours")
            if kinds is not None and kinds.shape != (len(self.config.events) + 1, member.dimension):
                raise ModelError(f"{name}: the weights of its kinds of behaviour have the shape {kinds.shape}")
        if len(self.catalogue) != self.config.items:
            raise ModelError(f"{name}: config.json counts {self.config.items} items, items.jsonl {len(self.catalogue)}")
        self.index = self._optional(handles, "index.safetensors")
        self.item_groups = self._optional(handles, "item_groups.safetensors")
        self.next_items = self._next_items(handles)
        self.network = model_files.read(handles["interests.onnx"])
        self._network = InterestNetwork(
            name, self.network, dimension=self.config.dimension, interests=self.config.interests
        )
        self._epochs = model_files.read(handles["train.jsonl"])

    def _optional(self, handles: dict[str, int], part: str) -> dict[str, npt.NDArray[Any]] | None:
        return weights_file.map_file(handles[part], f"{self.name}/{part}") if part in handles else None

    def _next_items(self, handles: dict[str, int]) -> NextItems | None:
        config, arrays = self.config.next_items, self._optional(handles, next_items.PART)
        if (config is None) != (arrays is None):
            raise ModelError(
                f"{self.name}: config.json and manifest.json disagree on {next_items.PART}; train the model again"
            )
        if config is None or arrays is None:
            return None
        return next_items.read(self.name, arrays, config, self.config.items)

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
    def members(self) -> list[Member]:
        """The members of an ensemble, each as a model of its own; otherwise the model itself."""
        config = self.config
        if not config.members:
            vectors, network = self.vectors, self._networks
            own = (config.backbone, config.dimension, config.interests, vectors, network, self.text_map, self.adapter)
            return [Member(*own)]
        assert self.lengths is not None
        made = []
        for number, (each, part) in enumerate(zip(config.members, self._blocks.parts, strict=True)):
            prefix = f"{number + 1}."
            network = {key[len(prefix) :]: value for key, value in self._networks.items() if key.startswith(prefix)}
            text_map, adapter = (
                None if learned is None else (learned[0][part], learned[1][part])
                for learned in (self.text_map, self.adapter)
            )
            vectors = self._blocks.own(self.vectors, self.lengths, number)
            made.append(Member(each.backbone, each.dimension, each.interests, vectors, network, text_map, adapter))
        return made

    @property
    def network_inputs(self) -> list[str]:
        """The names of what its network reads."""
        return self._network.inputs

    def place(self, vectors: Floats) -> Floats:
        """Item vectors (n, d) of what a map from text gives (n, d)."""
        return self._blocks.joint(vectors)[0] if self.config.members else vectors

    def append(self, vectors: Floats) -> None:
        """Put items behind the last index by what the map from text gives for them (n, d): tables grow in memory."""
        count = len(vectors)
        if self.lengths is not None:
            vectors, lengths = self._blocks.joint(vectors)
            self.lengths = np.concatenate([self.lengths, lengths])
        self.vectors = np.concatenate([self.vectors, vectors])
        self.counts = np.concatenate([self.counts, np.zeros(count, dtype=self.counts.dtype)])
        if self.scale is not None:
            norms = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
            self.scale = np.concatenate([self.scale, (1 / norms).astype(np.float32)])

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
        side: dict[str, npt.NDArray[Any]] = {}
        if "days" in self._network.inputs:
            side["days"] = np.full(mask.shape, -1, dtype=np.float32)
            for row, when in enumerate(times or ()):
                latest = when[-self.config.max_length :]
                side["days"][row, : len(latest)] = (latest.max() - latest) / 86_400
        if "events" in self._network.inputs:
            unknown = np.zeros(mask.shape, dtype=np.int64)
            side["events"] = padded([kinds[-self.config.max_length :] for kinds in events]) if events else unknown
        users, length = mask.shape
        interests = np.empty((users, self.config.interests, self.config.dimension), dtype=np.float32)
        attention = np.zeros((users, self.config.interests, length), dtype=np.float32)
        for rows, longest in length_groups(np.array([len(history) for history in kept])):
            part = {"mask": mask, **side}
            inputs = {name: array[rows, :longest] for name, array in part.items()}
            found = self._network.run(inputs | self._of_items(items[rows, :longest]))
            interests[rows], attention[rows, :, :longest] = found
        return interests, attention

    def _of_items(self, items: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """What a network reads of the items (B, L) of histories."""
        made: dict[str, npt.NDArray[Any]] = {"vectors": self.vectors[items].astype(np.float32, copy=False)}
        if self.features is not None:
            # an item that was added to the opened model has none
            made["features"] = self.features[items * (items < len(self.features))].astype(np.int64)
        if self.lengths is not None:
            made["lengths"] = self.lengths[items]
        return made


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
                raise ModelError(f"{path}: {error.filename} is missing; train or copy the model again") from None
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
        raise ModelError(f"{path}: {error.filename} is missing; train or copy the model again") from None


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
