"""Small model directories for tests of `recommend`: tastes as axes, with names for them and with words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from eimf_core.model_directory import artifact
from eimf_core.model_directory.opened_model import ModelConfig
from eimf_core.naming.group_names import named_groups
from eimf_core.recommend.session import Session
from eimf_core.records import Item, Query, Recommendation, SemanticInterest
from eimf_core.text import numpy_encoder
from eimf_core.text.encoder_input import item_text
from tests.small_data import TASTES
from tests.small_models import halves_network, taste_vectors

NAMES = {"tea": "tea drinking", "yarn": "knitting", "fish": "aquarium keeping"}


def small_items() -> list[Item]:
    """The catalogue of `write_small_data`: 24 items of three tastes."""
    return [
        Item(item=f"{taste}-{at}", title=title, categories=[taste])
        for taste, titles in TASTES.items()
        for at, title in enumerate(titles)
    ]


def write_named_model(
    path: Path,
    items: list[Item] | None = None,
    *,
    named: bool = True,
    words: bool = False,
    graph: dict[str, Any] | None = None,
    **config: Any,
) -> Path:
    """A model over `taste_vectors` (d = 4) whose items lie near the axis of their taste.

    With `named`, the axes of the tastes are the named interests. Interest 0 of a history is the mean
    of its vectors, interest 1 the opposite. With `words`, texts get a place by regression from the
    items' texts, as adapter and as text map. `graph` are the arrays of a graph of next items.
    """
    items = items or small_items()
    vectors = taste_vectors(items, noise=0.1)
    weights: dict[str, Any] = {
        "item_vectors": vectors,
        "item_counts": np.arange(len(items) + 1, dtype=np.int64),
    }
    interests = []
    if named:
        axes = {name: axis for axis, name in enumerate(sorted({item.categories[0] for item in items}))}
        interests = [SemanticInterest(name=NAMES.get(taste, taste)) for taste in axes]
        weights["named_vectors"] = np.eye(4, dtype=np.float32)[list(axes.values())]
    if words:
        encoder = numpy_encoder.packaged()
        texts = encoder.encode([item_text(item) for item in items])
        solved = np.linalg.solve(texts.T @ texts + 0.1 * np.eye(encoder.dimension), texts.T @ vectors[1:])
        for kind in ("adapter", "text"):
            weights[f"{kind}_weight"] = solved.T.astype(np.float32)
            weights[f"{kind}_bias"] = np.zeros(4, dtype=np.float32)
        config = {"text_encoder": encoder.identity, "text_dimension": encoder.dimension, **config}
    settings = ModelConfig(backbone="halves", items=len(items), dimension=4, interests=2, max_length=50, **config)
    of_interests = weights.get("named_vectors", vectors[:0])
    groups = named_groups(len(items), lambda index: items[index - 1], vectors, None, interests, of_interests)
    artifact.write(
        path,
        artifact.Contents(
            config=settings,
            items=items,
            weights=weights,
            network=halves_network(),
            named=interests,
            item_groups=groups.arrays(),
            next_items=graph,
        ),
    )
    return path


def write_indexed_model(path: Path) -> Path:
    """A model of `write_named_model` with words, and with an index that looks at a third of the items."""
    write_named_model(path, words=True)
    index = {
        "centroids": np.eye(4, dtype=np.float32)[:3],
        "starts": np.array([0, 8, 16, 24]),
        "items": np.arange(1, 25, dtype=np.int32),
        "probes": np.array([1]),
    }
    artifact.add_arrays(path, "index.safetensors", index, {})
    return path


def answered(session: Session, query: Query, *, explain: str | None = None) -> Recommendation:
    """The answer to one query as a record."""
    return msgspec.json.decode(session.line(query, explain=explain), type=Recommendation)
