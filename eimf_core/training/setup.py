"""What a run needs before its first step: threads, text vectors, item table, labels, fingerprint."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import torch

from eimf_core import renamed_settings, threads
from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, InputError
from eimf_core.io import files, provenance
from eimf_core.models import registry
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import Reporter
from eimf_core.text import loading
from eimf_core.text.cache import CACHE, encode_cached, encode_items
from eimf_core.text.encoder import TextEncoder
from eimf_core.training import (
    item_embeddings,
    label_init,
    label_propagation,
    labels,
    neighbour_init,
    text_init,
    warm_start,
)
from eimf_core.training.config import TrainConfig
from eimf_core.training.device import CPU, speed_up
from eimf_core.training.labels import Labels
from eimf_core.training.learner import Learner
from eimf_core.training.side_information import SideInputs, item_features


@dataclass(frozen=True)
class PreparedRun:
    """A learner at its start, the labels, the text vectors of the items (N + 1, D) where item vectors
    start from them, the name of the text encoder that was used, if any, and what was taken over from an
    earlier model."""

    learner: Learner
    labels: Labels | None
    text: npt.NDArray[np.float16] | None
    encoder: str | None
    side: SideInputs
    start: dict[str, Any] | None = None


def check_data(data: Dataset, reporter: Reporter) -> None:
    """InputError when there is nothing to learn from; a warning where no item has a title."""
    train = data.splits["train"]
    path = data.directory / "sequences.jsonl"
    if not len(train):
        raise InputError("has no line with the split 'train'", file=path, field="split")
    if not (np.diff(train.offsets) > 1).any():
        raise InputError("no training line has two items: there is no next item to learn", file=path, field="items")
    if not any(item.title.strip() for item in data.items):
        reporter.warn(
            f"{data.directory / 'items.jsonl'}: no item has a title, so that neither item vectors nor names of "
            "interests can come from titles; give titles to prepare by --items"
        )


def set_threads(wanted: int) -> int:
    """Use so many threads, or with 0 as many as `for_training` says; returns how many."""
    wanted = wanted or threads.for_training()
    torch.set_num_threads(wanted)
    # numbers below the normal range made a softmax step seven times slower late in training
    torch.set_flush_denormal(True)
    return wanted


@contextlib.contextmanager
def restored_afterwards() -> Iterator[None]:
    """Give back what `set_threads` changes: threads, and what becomes of numbers below the normal range."""
    count, smallest = torch.get_num_threads(), torch.tensor(1e-40)
    flushed = not float(smallest * 1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
        torch.set_flush_denormal(flushed)


def fingerprint(data: Dataset, settings: TrainConfig, read: list[Path]) -> str:
    """What tells one run from another: settings, the files it reads and versions.

    Args:
        data: what is trained on.
        settings: of the run.
        read: the files, of `inputs`.

    Returns:
        A sha256 in hexadecimal digits.
    """
    # where it runs is told apart by what the checkpoint says, with a word to the user
    told = {name: value for name, value in dataclasses.asdict(settings).items() if name != "device"}
    described = {
        "settings": renamed_settings.with_original_names(told),
        "inputs": [files.sha256(path) for path in read],
        "versions": provenance.versions(),
    }
    return hashlib.sha256(orjson.dumps(described, option=orjson.OPT_SORT_KEYS)).hexdigest()


def inputs(data: Dataset, labels_path: str | Path | None, init: str | Path | None) -> list[Path]:
    """The files that a run reads; the manifest stands for a whole model.

    Args:
        data: a prepared directory.
        labels_path: the labels, if there are any.
        init: the model that it starts from, if it does.

    Returns:
        Their paths.
    """
    read = [data.directory / "items.jsonl", data.directory / "sequences.jsonl"]
    read += [Path(labels_path)] if labels_path is not None else []
    return read + ([warm_start.manifest(init)] if init is not None else [])


def check_same_machine(resumed: dict[str, Any], here: dict[str, Any], folder: Path) -> None:
    """Refuse to resume an interrupted run elsewhere, where it would not end with the same bits.

    Args:
        resumed: what its checkpoint says of where it ran, by name.
        here: the same of here.
        folder: of the checkpoint, for the message.

    Raises:
        ConfigError: they differ.
    """
    before = {name: resumed.get(name, here[name]) for name in here}
    if before != here:
        said = " and ".join(f"{name} {value}" for name, value in before.items())
        raise ConfigError(
            f"the interrupted run can be resumed only with {said}, as it began; to start over, remove {folder}"
        )


class _TextVectors:
    """Text vectors of a run; the encoder is opened when one is first needed."""

    def __init__(self, data: Dataset, settings: TrainConfig, reporter: Reporter) -> None:
        self._data, self._settings, self._reporter = data, settings, reporter
        self._encoder: TextEncoder | None = None

    @property
    def encoder_name(self) -> str | None:
        """The identity of the encoder, None where it was not needed."""
        return None if self._encoder is None else self._encoder.identity

    def of_texts(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """(n, D)."""
        return encode_cached(texts, self._open(), self._data.directory / CACHE, self._reporter).astype(np.float32)

    def of_items(self) -> npt.NDArray[np.float16]:
        """(N + 1, D)."""
        return encode_items(self._data.directory, self._data.items, self._open(), self._reporter)

    def _open(self) -> TextEncoder:
        if self._encoder is None:
            self._encoder = loading.open_encoder(self._settings.encoder, len(self._data.items))
        return self._encoder


def item_texts(
    data: Dataset, item_vectors: str, encoder: str | None, reporter: Reporter
) -> npt.NDArray[np.float16] | None:
    """The text vectors of items that start from text, from the cache of the data where they are.

    Args:
        data: the items.
        item_vectors: the setting.
        encoder: the setting.
        reporter: hears of progress.

    Returns:
        (N + 1, D); None where items start otherwise.
    """
    if item_vectors != "text":
        return None
    return encode_items(data.directory, data.items, loading.open_encoder(encoder, len(data.items)), reporter)


def prepare(
    data: Dataset, settings: TrainConfig, labels_path: str | Path | None, reporter: Reporter, *,
    init: str | Path | None = None, init_member: int = 0, device: torch.device = CPU,
) -> PreparedRun:  # fmt: skip
    """Labels, text vectors and a learner at its start; the text encoder is opened only if needed.

    Args:
        data: what is trained on.
        settings: of the run.
        labels_path: the labels, if there are any.
        reporter: hears of progress and remarks.
        init: an earlier model that the learner starts from, if it does.
        init_member: which of its members, from 0; 0 too for a model that is no ensemble.
        device: where the learner goes; its start is the same on every device.

    Returns:
        All that a run begins with.
    """
    earlier = None if init is None else warm_start.WarmStart(init, settings, init_member)
    vectors = _TextVectors(data, settings, reporter)
    found = None if labels_path is None else labels.load(labels_path, data, vectors.of_texts, reporter)
    # what an earlier model has learned of the items is not put aside for words
    starts_from_words = settings.label_init and settings.item_vectors == "random" and earlier is None
    propagates = settings.propagation_min_item_cosine > 0 and (settings.label_weights.items or starts_from_words)
    if found is not None and propagates:
        found = _with_propagated_labels(found, data, settings, vectors.of_items(), reporter)
    text = vectors.of_items() if settings.knows_text else None
    placed = None if text is None else text_init.cca_projection(text, data.splits["train"], settings.dimension)
    learner, side = _fresh_learner(data, settings, found, text, placed, reporter)
    if earlier is None:
        _start_items(learner, data, settings, found, reporter)
    elif found is not None and settings.label_init and settings.item_vectors == "random":
        reporter.note("item vectors start from the earlier model, not from the words of the labels")
    if found is not None and placed is not None and settings.label_init:
        label_init.init_adapter_from_text(learner, *placed)
    encoder = vectors.encoder_name
    start = None if earlier is None else earlier.apply(learner, data, text, encoder, side.events, reporter)
    learner.move(device)
    side.device = device
    speed_up(learner.backbone, device, precision=settings.precision, compile=settings.compile)
    return PreparedRun(learner, found, text, encoder, side, start)


def _fresh_learner(
    data: Dataset, settings: TrainConfig, found: Labels | None, text: npt.NDArray[np.float16] | None,
    placed: tuple[Floats, Floats] | None, reporter: Reporter,
) -> tuple[Learner, SideInputs]:  # fmt: skip
    generator = torch.Generator().manual_seed(settings.seed)
    table = item_embeddings.make_table(len(data.items), settings.dimension, generator, text=text, start=placed)
    if settings.item_categories:
        features, kinds = item_features(data.items)
        if kinds:
            table.add_categories(features, kinds)
        else:
            reporter.warn("--item-categories has no effect: no two items share a category")
    side = SideInputs(registry.load(settings.backbone).side_inputs, data, reporter, events=settings.item_events)
    text_width = None if found is None else found.vectors.shape[1]
    learner = Learner(settings, table, text_width, generator, features=side.kinds, events=len(side.events))
    if not side.timed:
        # what nothing was learned about is not read later either
        learner.backbone.side_inputs = tuple(read for read in learner.backbone.side_inputs if read != "days")
    return learner, side


def _start_items(
    learner: Learner, data: Dataset, settings: TrainConfig, found: Labels | None, reporter: Reporter
) -> None:
    """Move the item vectors of a fresh learner to where histories or the words of labels see the items."""
    train = data.splits["train"]
    if settings.item_vectors == "neighbours":
        placed = neighbour_init.init_from_neighbours(learner.table.weight, train, learner.generator)
        reporter.note(f"vectors of {placed:,} of {len(data.items):,} items initialised from neighbours in histories")
    if settings.item_vectors == "random" and settings.label_init and found is not None:
        placed = label_init.init_from_labels(learner, found, train)
        reporter.note(f"vectors of {placed:,} of {len(data.items):,} items initialised from words of the labels")


def _with_propagated_labels(
    found: Labels, data: Dataset, settings: TrainConfig, text: npt.NDArray[np.float16], reporter: Reporter
) -> Labels:
    train = data.splits["train"]
    propagated = label_propagation.find(found, train, text, settings.propagation_min_user_cosine)
    more = label_propagation.with_items(found, propagated, train, text, settings.propagation_min_item_cosine)
    counts = [f"{len(np.unique(part.text_items[1])):,}" for part in (found, more)]
    reporter.note(
        f"{counts[1]} items are listed under an interest, {counts[0]} before labels were propagated to "
        f"{len(propagated):,} unlabelled users"
    )
    return more
