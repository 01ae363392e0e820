"""Groups of items and their names for a model that is about to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, ModelError
from eimf_core.model_directory.artifact import Contents
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.naming import group_names, interest_names, item_groups
from eimf_core.naming.item_groups import ItemGroups
from eimf_core.numeric.arrays import AnyFloats
from eimf_core.text.cache import encode_items
from eimf_core.text.loading import open_encoder


def with_names(contents: Contents, earlier: Sequence[OpenedModel] = (), data: Dataset | None = None) -> Contents:
    """What is written, with its items in named groups.

    Args:
        contents: all but the groups.
        earlier: models that this one goes on from or is joined from. What a language model called the groups of the
            first of them that was asked is taken over with these.
        data: the items' text vectors are kept beside it, where the model knows texts.

    Returns:
        The same with groups.
    """
    groups = next((found for model in earlier if (found := _transferred(contents, model)) is not None), None)
    if groups is None:
        vectors, scale = contents.weights["item_vectors"], contents.weights.get("item_scale")
        interest_vectors = contents.weights.get("named_vectors", vectors[:0])
        groups = group_names.named_groups(
            len(contents.items), lambda index: contents.items[index - 1], vectors, scale, contents.named,
            interest_vectors, None if data is None else _text(contents, data),
        )  # fmt: skip
    return replace(contents, item_groups=groups.arrays())


def _text(contents: Contents, data: Dataset) -> AnyFloats | None:
    """Text vectors of the items, by the encoder of the model; None where it has none, or that is not at hand."""
    if contents.config.text_encoder is None:
        return None
    try:
        encoder = open_encoder(contents.config.training.get("encoder"), len(data.items))
    except (ConfigError, ModelError):
        return None
    if encoder.identity != contents.config.text_encoder:
        return None
    return encode_items(data.directory, data.items, encoder)


def _transferred(contents: Contents, model: OpenedModel) -> ItemGroups | None:
    if model.item_groups is None:
        return None
    groups = interest_names.groups_of(model)
    if not any(group.by == "answer" for group in groups.names):
        return None
    places = {item.item: at for at, item in enumerate(contents.items, start=1)}
    of_items = np.array([places.get(item.item, 0) for item in model.catalogue], dtype=np.int64)
    return item_groups.transferred(
        groups, of_items, contents.weights["item_vectors"], contents.weights.get("item_scale")
    )
