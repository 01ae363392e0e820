"""Items that came after training: they get a place from their text and are ranked like all others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eimf_core import dataset
from eimf_core.artifact import Model
from eimf_core.errors import InputError
from eimf_core.progress import Reporter
from eimf_core.recommend.text_queries import Words
from eimf_core.records import Item
from eimf_core.text.encoder_input import item_text


def read(path: str | Path, model: Model, reporter: Reporter) -> list[Item]:
    """The items of a file that the model does not know; those without any text are left out, with a remark."""
    listed = dataset.load_items(path)
    known = [item for item in listed if model.catalogue.index(item.item)]
    if known:
        reporter.note(f"{path}: {len(known):,} items are known already and keep their place")
    blank = [item for item in listed if not item_text(item)]
    if blank:
        reporter.warn(f"{path}: {len(blank):,} items without any text are left out")
    out = {item.item for item in (*known, *blank)}
    new = [item for item in listed if item.item not in out]
    if not new and not known:
        raise InputError("holds no item with a text", file=path)
    return new


def add(model: Model, items: Sequence[Item], words: Words) -> None:
    """Put items behind the last index of an opened model: its tables grow in memory, the directory stays."""
    if not items:
        return
    places = words.places_of(items)
    model.vectors = np.concatenate([model.vectors, places])
    model.counts = np.concatenate([model.counts, np.zeros(len(items), dtype=model.counts.dtype)])
    if model.scale is not None:
        lengths = np.maximum(np.linalg.norm(places, axis=1), 1e-12)
        model.scale = np.concatenate([model.scale, (1 / lengths).astype(np.float32)])
