"""Item vectors as a Parquet file: what a vector database or faiss reads.

item      VARCHAR
title     VARCHAR
vector    FLOAT[]     (d,); its inner product with an interest is the item's score for that interest
length    FLOAT       where the model scores by cosine: vector * length is what the network reads of the item
lengths   FLOAT[]     (M,), of an ensemble: the network's input of this name
features  INTEGER[]   (F,), likewise
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.io import files, outputs, parquet_files, provenance
from eimf_core.model_directory import artifact
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric.arrays import Arrays
from eimf_core.records import Item

PART = 32_768
"""Items that are written at once: a million of them do not lie in memory a second time."""
KINDS = {"vector": "FLOAT[]", "length": "FLOAT", "lengths": "FLOAT[]", "features": "INTEGER[]"}


def write(path: str | Path, output: Path, *, force: bool = False) -> int:
    """Write the vectors of all items of a model, in the order of its catalogue.

    Args:
        path: the model directory.
        output: the Parquet file.
        force: whether a file that no run of eimf wrote may be replaced.

    Returns:
        The number of items.

    Raises:
        ConfigError: the path is no directory, or the file may not be replaced.
        ModelError: the model is broken.
    """
    model = artifact.open_model(path)
    with outputs.claimed([output], force=force) as places:
        place = places[str(output)]
        with files.temporary_folder(output) as folder:
            parts = []
            for number, (first, items) in enumerate(_blocks(model)):
                parts.append(folder / f"{number}.parquet")
                parquet_files.write(parts[-1], _columns(model, first, items), KINDS)
            parquet_files.join(parts, place)
        inputs: list[str | Path] = [Path(path) / "manifest.json"]
        described = provenance.describe(command="export", arguments={"model": str(path)}, inputs=inputs)
        provenance.write(place, described)
    return len(model.catalogue)


def _blocks(model: OpenedModel) -> Iterator[tuple[int, list[Item]]]:
    """Some items at a time, and the index of the first of them."""
    held: list[Item] = []
    first = 1
    for item in model.catalogue:
        held.append(item)
        if len(held) == PART:
            yield first, held
            first, held = first + PART, []
    if held:
        yield first, held


def _columns(model: OpenedModel, first: int, items: list[Item]) -> Arrays:
    rows = slice(first, first + len(items))
    vectors = model.vectors[rows].astype(np.float32)
    made: Arrays = {
        "item": np.array([item.item for item in items], dtype=np.object_),
        "title": np.array([item.title for item in items], dtype=np.object_),
    }
    if model.scale is None:
        made["vector"] = _lists(vectors)
    else:
        scale = model.scale[rows].astype(np.float32)
        made["vector"] = _lists(vectors * scale[:, None])
        made["length"] = 1 / scale
    if model.lengths is not None:
        made["lengths"] = _lists(model.lengths[rows])
    if model.features is not None:
        made["features"] = _lists(model.features[rows])
    return made


def _lists(rows: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    """The rows (n, d) as a column of arrays."""
    made = np.empty(len(rows), dtype=np.object_)
    made[:] = list(rows)
    return made
