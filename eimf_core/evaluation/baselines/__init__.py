"""Systems without a model, fitted from the training lines of the data set that is evaluated.

A new one is a class in a file here and a line in `BASELINES`. It has a `name`, a docstring with its source, and
`score` as `scorers.System` describes it. Either it is made from the data set alone, or it has a static `fit` too that
turns the data set into arrays, and is made from both: the arrays are kept under `DIR/.cache` by the hash of the
training lines, so that the next evaluation of the same data reads them. `largest_catalogue` (for `--baselines fast`
and `all`) leaves it out of larger ones.

`popularity` has the most popular items, `item_based` item-kNN, EASE and what follows the last item.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, ModelError
from eimf_core.evaluation.baselines import item_based
from eimf_core.evaluation.baselines.popularity import Popularity, RecentPopularity
from eimf_core.evaluation.scorers import System
from eimf_core.io import weights_file
from eimf_core.numeric.arrays import Arrays
from eimf_core.progress import SILENT, Reporter

CACHE = ".cache"
NO_LIMIT = {"fast": sys.maxsize, "all": sys.maxsize}
BASELINES: tuple[Any, ...] = (Popularity, RecentPopularity, item_based.LastItem, item_based.ItemKnn, item_based.Ease)


def fit(dataset: Dataset, choice: str, reporter: Reporter = SILENT) -> list[System]:
    """The baselines of a choice, fitted or read from the cache of the data.

    Args:
        dataset: with its training lines.
        choice: "fast" (EASE for small catalogues only), "all" or "none".
        reporter: hears of what is left out.

    Returns:
        The systems, in the order of `BASELINES`.
    """
    if choice == "none":
        return []
    trained = training_hash(dataset)
    made: list[System] = []
    for kind in BASELINES:
        if len(dataset.items) > (largest := getattr(kind, "largest_catalogue", NO_LIMIT))[choice]:
            further = " (--baselines all fits it)" if len(dataset.items) <= largest["all"] else ""
            reporter.note(
                f"baseline {kind.name} left out: {len(dataset.items):,} items, more than {largest[choice]:,}{further}"
            )
        elif hasattr(kind, "fit"):
            path = dataset.directory / CACHE / f"baseline-{kind.name}-{trained}.safetensors"
            made.append(kind(dataset, _fitted(kind, dataset, path, reporter)))
        else:
            made.append(kind(dataset))
    return made


def training_hash(dataset: Dataset) -> str:
    """Tells training lines apart: item ids, and the items of every line in order."""
    train = dataset.splits["train"]
    digest = hashlib.sha256()
    for item in dataset.items:
        raw = item.item.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    digest.update(train.offsets.tobytes())
    digest.update(train.items.tobytes())
    return digest.hexdigest()[:16]


def _fitted(kind: Any, dataset: Dataset, path: Path, reporter: Reporter) -> Arrays:
    """The arrays of a baseline, read from the cache file `path` or fitted and written there."""
    if (found := _read(path)) is not None:
        reporter.debug(f"{path}: baseline {kind.name}, fitted earlier")
        return found
    reporter.begin(f"fitting {kind.name}")
    try:
        arrays: Arrays = kind.fit(dataset)
    finally:
        reporter.end()
    try:
        weights_file.write(path, arrays)
    except (OSError, ConfigError) as error:
        reporter.warn(f"the baseline {kind.name} cannot be cached and is fitted again the next time ({error})")
    return arrays


def _read(path: Path) -> dict[str, Any] | None:
    """The file's arrays; None where there is none, or one that is damaged."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        arrays = weights_file.map_file(handle, str(path))
    except (ModelError, ValueError):
        return None
    finally:
        os.close(handle)
    return arrays or None
