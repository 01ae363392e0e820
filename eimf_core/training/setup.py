"""What a run needs before its first step: threads, text vectors, item table, labels, fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import torch

from eimf_core import artifact, files, threads
from eimf_core import provenance as manifest
from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, InputError, ModelError
from eimf_core.models import registry
from eimf_core.progress import Reporter
from eimf_core.training import (
    item_embeddings,
    label_init,
    label_propagation,
    labels,
    neighbour_init,
    warm_start,
)
from eimf_core.training.config import TrainConfig
from eimf_core.training.device import CPU, speed_up
from eimf_core.training.labels import Labels
from eimf_core.training.learner import Learner
from eimf_core.training.side_information import SideInputs, item_features

LARGEST_DEFAULT = 8


@dataclass(frozen=True)
class Prepared:
    """A learner at its start, the labels, the text vectors of the items (N + 1, D) where item vectors
    start from them, the name of the text encoder that was used, if any, and what was taken over from an
    earlier model."""

    learner: Learner
    labels: Labels | None
    text: npt.NDArray[np.float16] | None
    encoder: str | None
    side: SideInputs
    start: dict[str, Any] | None = None


def check_output(output: str | Path) -> None:
    """ConfigError when a model cannot be put there; found before training, not after it."""
    target = Path(output)
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{output}: is a file, expected a directory to write")
    if target.is_dir() and any(target.iterdir()) and not (target / "manifest.json").exists():
        raise ConfigError(f"{output}: is not empty and not a model directory; choose another name")


def check_data(data: Dataset) -> None:
    """InputError when there is nothing to learn from."""
    train = data.splits["train"]
    path = data.directory / "sequences.jsonl"
    if not len(train):
        raise InputError("has no line with the split 'train'", file=path, field="split")
    if not (np.diff(train.offsets) > 1).any():
        raise InputError("no training line has two items: there is no next item to learn", file=path, field="items")


def best_epoch(model: str | Path) -> int:
    """The epoch with the best validation figure of a model; ModelError when it was trained without one."""
    measured = [line for line in artifact.open_model(model).epochs if "valid" in line]
    if not measured:
        raise ModelError(f"{model}: was trained without a validation split, so that no epoch is its best")
    # the first of equals, as in training
    return int(max(measured, key=lambda line: float(line["valid"]["ndcg@10"]))["epoch"])


def set_threads(wanted: int) -> int:
    """Use so many threads, or a default that shared machines bear; returns how many."""
    if wanted == 0:
        wanted = threads.from_environment() or min(LARGEST_DEFAULT, max(1, threads.cores() // 2))
    torch.set_num_threads(wanted)
    # numbers below the normal range made a softmax step seven times slower late in training
    torch.set_flush_denormal(True)
    return wanted


def fingerprint(data: Dataset, settings: TrainConfig, read: list[Path]) -> str:
    """What tells one run from another: settings, the files it reads and versions."""
    described = {
        # where it runs is told apart by what the checkpoint says, with a word to the user
        "settings": {name: value for name, value in dataclasses.asdict(settings).items() if name != "device"},
        "inputs": [files.sha256(path) for path in read],
        "versions": manifest.versions(),
    }
    return hashlib.sha256(orjson.dumps(described, option=orjson.OPT_SORT_KEYS)).hexdigest()


def inputs(data: Dataset, labels_path: str | Path | None, init: str | Path | None) -> list[Path]:
    """The files that a run reads; the manifest stands for a whole model."""
    read = [data.directory / "items.jsonl", data.directory / "sequences.jsonl"]
    read += [Path(labels_path)] if labels_path is not None else []
    return read + ([warm_start.manifest(init)] if init is not None else [])


def check_same_machine(resumed: dict[str, Any], here: dict[str, Any], folder: Path) -> None:
    """ConfigError when an interrupted run would go on elsewhere, where it would not end with the same bits."""
    before = {name: resumed.get(name, here[name]) for name in here}
    if before != here:
        said = " and ".join(f"{name} {value}" for name, value in before.items())
        raise ConfigError(f"the interrupted run goes on only with {said}, as it began; to start over, remove {folder}")


def prepare(
    data: Dataset, settings: TrainConfig, labels_path: str | Path | None, reporter: Reporter, *,
    init: str | Path | None = None, device: torch.device = CPU,
) -> Prepared:  # fmt: skip
    """Labels, text vectors and a learner at its start; the text encoder is opened only if needed.

    `init`: an earlier model that the learner starts from. The start is the same on every device.
    """
    earlier = None if init is None else warm_start.WarmStart(init, settings)
    text: npt.NDArray[np.float16] | None = None
    found: Labels | None = None
    name: str | None = None
    encoder: Any = None

    def opened() -> Any:
        nonlocal encoder, name
        if encoder is None:
            from eimf_core.text.loading import open_encoder

            encoder = open_encoder(settings.encoder)
            name = encoder.identity
        return encoder

    def encode(texts: list[str]) -> npt.NDArray[np.float32]:
        from eimf_core.text.cache import CACHE, encode_cached

        return encode_cached(texts, opened(), data.directory / CACHE, reporter).astype(np.float32)

    # what an earlier model has learned of the items is not put aside for words
    starts_from_words = settings.label_start and settings.item_vectors == "random" and earlier is None
    if labels_path is not None:
        found = labels.load(labels_path, data, encode, reporter)
        if settings.inherited_items and (settings.label_weights.items or starts_from_words):
            found = _with_inherited_items(found, data, settings, opened(), reporter)
    if settings.knows_text:
        from eimf_core.text.cache import encode_items

        text = encode_items(data.directory, data.items, opened(), reporter)
    generator = torch.Generator().manual_seed(settings.seed)
    table = item_embeddings.make(settings.item_vectors, len(data.items), settings.dimension, text, generator)
    if settings.item_categories:
        features, kinds = item_features(data.items)
        if kinds:
            table.add_categories(features, kinds)
        else:
            reporter.warn("no two items share a category: item vectors hold none")
    side = SideInputs(registry.load(settings.backbone).side_inputs, data, reporter, events=settings.item_events)
    text_width = None if found is None else found.vectors.shape[1]
    learner = Learner(settings, table, text_width, generator, features=side.kinds, events=len(side.events))
    if not side.timed:
        # what nothing was learned about is not read later either
        learner.backbone.side_inputs = tuple(read for read in learner.backbone.side_inputs if read != "days")
    if settings.item_vectors == "neighbours" and earlier is None:
        placed = neighbour_init.start_from_neighbours(table.weight, data.splits["train"], generator)
        reporter.note(f"{placed:,} of {len(data.items):,} items start near those beside them in histories")
    if found is not None and starts_from_words:
        placed = label_init.start_from_words(learner, found, data.splits["train"])
        reporter.note(f"{placed:,} of {len(data.items):,} items start from words of the labels")
    if found is not None and settings.label_start and settings.item_vectors == "random" and earlier is not None:
        reporter.note("item vectors go on from the earlier model, not from the words of the labels")
    if found is not None and text is not None and settings.label_start:
        label_init.start_adapter_from_text(learner, text)
    start = None if earlier is None else earlier.apply(learner, data, text, name, side.events, reporter)
    learner.move(device)
    side.device = device
    speed_up(learner.backbone, device, precision=settings.precision, compile=settings.compile)
    return Prepared(learner, found, text, name, side, start)


def _with_inherited_items(
    found: Labels, data: Dataset, settings: TrainConfig, encoder: Any, reporter: Reporter
) -> Labels:
    from eimf_core.text.cache import encode_items

    train, text = data.splits["train"], encode_items(data.directory, data.items, encoder, reporter)
    propagated = label_propagation.find(found, train, text, settings.inherited_cosine)
    more = label_propagation.with_items(found, propagated, train, text, settings.inherited_items)
    counts = [f"{len(np.unique(part.shown[1])):,}" for part in (found, more)]
    reporter.note(
        f"{counts[1]} items show words of the labels, {counts[0]} before labels were propagated to "
        f"{len(propagated):,} unlabelled users"
    )
    return more


def provenance(data: Dataset, settings: TrainConfig, read: list[Path], facts: dict[str, Any]) -> dict[str, Any]:
    """What the model's manifest says about how it came about."""
    return manifest.describe(
        command="train",
        arguments=dataclasses.asdict(settings),
        inputs=[*read],
        seed=settings.seed,
        facts={**data.facts, **facts},
    )
