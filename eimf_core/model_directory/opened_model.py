"""An opened model directory: its arrays as views of the mapped files, and its network. No torch.

What the files hold is described in `artifact`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.errors import InputError, ModelError
from eimf_core.io import jsonl, weights_file
from eimf_core.model_directory import model_files, next_items
from eimf_core.model_directory.item_precompute import PrecomputedNetwork
from eimf_core.model_directory.model_files import FORMAT
from eimf_core.model_directory.model_items import ModelItems
from eimf_core.model_directory.model_members import InterestProduct, Member, MemberBlocks, MemberConfig, Positive
from eimf_core.model_directory.model_network import InterestNetwork
from eimf_core.model_directory.next_items import NextItems, NextItemsConfig
from eimf_core.numeric.arrays import Floats
from eimf_core.numeric.padding import length_groups, padded
from eimf_core.numeric.vectors import row_lengths
from eimf_core.records import SemanticInterest
from eimf_core.renamed_settings import with_current_names


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Shapes and choices a reader needs. `training` is the full training configuration, for people.

    `text_encoder` names the encoder of the labels and item texts and its hash; it is compared,
    never loaded from here. `seen` is the setting validation used. `events` are the kinds of behaviour that
    the network knows, by number from 1. `members` are those of an ensemble (see `model_members`), whose `backbone`
    joins their names by +, whose `dimension` is the sum and whose `interests` is the product of theirs. `next_items`
    says what the graph of next items counts, None without one. `plugins` are the packages, with versions, of backbones
    that are no part of eimf: training that goes on from the model needs them, answers do not.
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
    plugins: dict[str, str] = {}
    training: dict[str, Any] = {}


class OpenedModel:
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
        self.catalogue = ModelItems(os.dup(handles["items.jsonl"]), index, name)
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
        self._blocks = MemberBlocks([each.dimension for each in members], [each.weight for each in members])
        self.lengths = self._weight(weights, "item_lengths", (rows, len(members))) if members else None
        self.interest_product = InterestProduct(members, width)
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
        self._network = PrecomputedNetwork(
            InterestNetwork(name, self.network, dimension=width, interests=self.config.interests), self._of_items
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
    def refitted(self) -> bool:
        """Whether it was trained on validation lines too (`--refit`), which say nothing about it then."""
        return bool(self.config.training.get("refit"))

    @property
    def network_inputs(self) -> list[str]:
        """The names of what its network reads."""
        return self._network.whole.inputs

    def to_item_vectors(self, vectors: Floats) -> Floats:
        """Where items lie that a map from text has placed.

        Args:
            vectors: what the map gives, (n, d).

        Returns:
            Item vectors (n, d).
        """
        return self._blocks.joint(vectors)[0] if self.config.members else vectors

    def append_items(self, vectors: Floats) -> None:
        """Put items behind the last index: tables grow in memory.

        Args:
            vectors: what the map from text gives for them, (n, d).
        """
        count = len(vectors)
        if self.lengths is not None:
            vectors, lengths = self._blocks.joint(vectors)
            self.lengths = np.concatenate([self.lengths, lengths])
        self.vectors = np.concatenate([self.vectors, vectors])
        self.counts = np.concatenate([self.counts, np.zeros(count, dtype=self.counts.dtype)])
        if self.scale is not None:
            self.scale = np.concatenate([self.scale, (1 / row_lengths(vectors)).astype(np.float32)])

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
        """The interests of users.

        Args:
            histories: item indices, oldest first, at least one each; only the last `max_length` count.
            times: unix seconds, one an item; unknown without them. Only some networks read them.
            events: kinds of behaviour by `event_numbers`, one an item, 0 where unknown; likewise.

        Returns:
            Interests (B, K, d) and attention (B, K, L), L the longest history that is left.

        Raises:
            ValueError: a history is empty.
        """
        kept = [history[-self.config.max_length :] for history in histories]
        items = padded(kept)
        mask = items > 0
        if not mask.any(axis=1).all():
            raise ValueError("a history is empty")
        side: dict[str, npt.NDArray[Any]] = {}
        if "days" in self.network_inputs:
            side["days"] = np.full(mask.shape, -1, dtype=np.float32)
            for row, when in enumerate(times or ()):
                latest = when[-self.config.max_length :]
                side["days"][row, : len(latest)] = (latest.max() - latest) / 86_400
        if "events" in self.network_inputs:
            unknown = np.zeros(mask.shape, dtype=np.int64)
            side["events"] = padded([kinds[-self.config.max_length :] for kinds in events]) if events else unknown
        groups = list(length_groups(np.array([len(history) for history in kept])))
        if len(groups) == 1:
            return self._network.run(items, {"mask": mask, **side}, len(self.vectors))
        users, length = mask.shape
        interests = np.empty((users, self.config.interests, self.config.dimension), dtype=np.float32)
        attention = np.zeros((users, self.config.interests, length), dtype=np.float32)
        for rows, longest in groups:
            part = {"mask": mask, **side}
            inputs = {name: array[rows, :longest] for name, array in part.items()}
            found = self._network.run(items[rows, :longest], inputs, len(self.vectors))
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


def _config(name: str, content: bytes) -> ModelConfig:
    try:
        config = msgspec.convert(orjson.loads(content), type=ModelConfig)
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise ModelError(f"{name}: config.json is damaged ({error})") from None
    members = [
        msgspec.structs.replace(member, training=with_current_names(member.training)) for member in config.members
    ]
    return msgspec.structs.replace(config, training=with_current_names(config.training), members=members)


def _lines(name: str, content: bytes) -> Iterator[SemanticInterest]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            yield jsonl.decode(line, SemanticInterest, file=f"{name}/named.jsonl", number=number)
        except InputError as error:
            raise ModelError(str(error)) from None
