"""Puts an approximate index into a model directory, and measures what it finds against exact search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ConfigError
from eimf_core.model_directory import artifact
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend.index_search import PART, Index

MIN_ITEMS = 39
"""Items for each list at least, on average: what k-means of faiss asks for."""
ROUNDS = 10
BLOCK = 1 << 16
QUERIES = 200
MIXED = 3
"""Items whose mean vector is one query of the recall measurement: an interest lies among the items that made it."""
K = 10
WANTED = 0.95
"""Share of the K best items that must be found; as many lists are looked into as that takes."""


@dataclass(frozen=True)
class Built:
    """What was built: lists, how many of them a query looks into, the share of all items in these, the recall."""

    lists: int
    probes: int
    share: float
    recall: float


def build_index(path: str | Path, *, seed: int = 0, reporter: Reporter = SILENT) -> Built:
    """Write the model directory anew with an index beside its weights.

    Args:
        path: the model directory.
        seed: of the lists, and of the queries that it is measured with.
        reporter: gets remarks.

    Returns:
        How the index looks, and how much it finds.

    Raises:
        ConfigError: faiss is not installed, or there is no such directory.
        ModelError: the model is broken.
    """
    model = artifact.open_model(path)
    try:
        import faiss
    except ImportError:
        raise ConfigError('an index is built with faiss: pip install "eimf[faiss]"') from None
    vectors = model.vectors[1:] if model.scale is None else model.vectors[1:] * model.scale[1:, None]
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    reporter.note(f"{path}: assigning {len(vectors):,} items to inverted lists")
    arrays = _lists(faiss, vectors, seed)
    drawn = np.random.default_rng(seed).integers(len(vectors), size=(QUERIES, MIXED))
    queries = vectors[drawn].mean(axis=1)
    exact = ranking.top_k(ranking.best_scores(queries[:, None], model.vectors, model.scale), K)
    probes, lists = 1, len(arrays["centroids"])
    while True:
        arrays["probes"] = np.array([probes], dtype=np.int64)
        index = Index(model.name, arrays, *vectors.shape)
        recall, share = _measured(index, model, queries, exact)
        if recall >= WANTED or probes == lists:
            break
        probes = min(2 * probes, lists)
    described = {"lists": lists, "probes": probes, f"recall@{K}": round(recall, 4), "seed": seed}
    artifact.add_arrays(path, PART, arrays, {"index": described})
    return Built(lists, probes, share, recall)


def _lists(faiss: Any, vectors: Floats, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Centroids by k-means, and the items of each."""
    number = max(1, min(int(4 * len(vectors) ** 0.5), len(vectors) // MIN_ITEMS))
    means = faiss.Kmeans(vectors.shape[1], number, niter=ROUNDS, seed=seed, verbose=False, min_points_per_centroid=1)
    means.train(vectors)
    nearest = [means.index.search(vectors[start : start + BLOCK], 1)[1] for start in range(0, len(vectors), BLOCK)]
    of = np.concatenate(nearest)[:, 0]
    starts = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=number))])
    order = np.argsort(of, kind="stable") + 1
    return {
        "centroids": np.asarray(means.centroids, dtype=np.float32).reshape(number, -1),
        "starts": starts.astype(np.int64),
        "items": order.astype(np.int32),
    }


def _measured(index: Index, model: OpenedModel, queries: Floats, exact: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Recall of the exact lists (Q, K), and the mean share of items that are looked at."""
    found = looked = 0
    for query, wanted in zip(queries, exact, strict=True):
        places = index.candidates(query[None])
        found += int(np.isin(wanted, places, assume_unique=True).sum())
        looked += len(places)
    return found / exact.size, looked / len(queries) / model.config.items
