"""An inverted file over the items of a model: the near ones are scored, the rest is not looked at.

The items lie in lists, one for each of C centroids; a query looks into the `probes` lists whose centroids have
the largest products with its interests and scores what lies there exactly, with the model's own vectors.
`build_index` makes it with faiss; using it needs numpy alone, since a file from a stranger is no input for
a parser in C++. Source: Jégou et al., Product Quantization for Nearest Neighbor Search, PAMI 33(1), 2011,
section IV (the inverted file, here without codes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ConfigError, ModelError
from eimf_core.opened_model import Model

Floats = npt.NDArray[np.float32]
PART = "index.safetensors"


class Index:
    """The lists of a model: `centroids` (C, d), `starts` (C + 1,), `items` (N,) in order of their lists."""

    def __init__(self, name: str, arrays: dict[str, npt.NDArray[Any]], items: int, width: int) -> None:
        """Raises ModelError for arrays that are no index of so many items."""
        self._name = name
        try:
            self._centroids, self._starts = arrays["centroids"], arrays["starts"]
            self._items, probes = arrays["items"], arrays["probes"]
        except KeyError as error:
            raise ModelError(f"{name}: {PART} has no {error}; build it again") from None
        lists = self._starts.size - 1
        fits = (
            self._starts.ndim == 1
            and lists >= 1
            and self._centroids.shape == (lists, width)
            and self._items.shape == (items,)
            and probes.shape == (1,)
            and all(array.dtype.kind == "i" for array in (self._starts, self._items, probes))
            and self._centroids.dtype == np.float32
        )
        if not fits or self._starts[0] != 0 or self._starts[-1] != items:
            raise self._broken()
        if (np.diff(self._starts) < 0).any() or not 1 <= probes[0] <= lists:
            raise self._broken()
        self.probes = int(probes[0])

    def _broken(self) -> ModelError:
        return ModelError(f"{self._name}: {PART} is no index of this model; build it again")

    def candidates(self, interests: Floats) -> npt.NDArray[np.int64]:
        """Indices of the items in the nearest lists of any of the interests (K, d), rising, each once."""
        products = interests @ self._centroids.T
        lists = len(self._centroids)
        probes = min(self.probes, lists)
        nearest = np.unique(np.argpartition(products, lists - probes, axis=1)[:, lists - probes :])
        parts = [self._items[self._starts[at] : self._starts[at + 1]] for at in nearest.tolist()]
        found = np.sort(np.concatenate(parts)).astype(np.int64)
        if len(found) and not (found[0] >= 1 and found[-1] <= len(self._items)):
            raise self._broken()
        return found

    def scores(self, interests: Floats, model: Model, also: Sequence[npt.NDArray[np.int64]] | None = None) -> Floats:
        """Scores (B, N + 1) as `ranking.best_scores` gives them, -inf for items that are not looked at.

        Items that the opened model got since are always looked at, and those in `also`, which holds some for each row.
        """
        rows = len(model.vectors)
        late = np.arange(len(self._items) + 1, rows)
        scores = np.full((len(interests), rows), -np.inf, dtype=np.float32)
        for at, (row, own) in enumerate(zip(scores, interests, strict=True)):
            places = np.concatenate([self.candidates(own), late])
            if also is not None:
                places = np.union1d(places, also[at])
            with np.errstate(invalid="ignore", over="ignore"):
                best = (own @ model.vectors[places].T).max(axis=0)
            row[places] = best if model.scale is None else best * model.scale[places]
        return scores


def index_of(model: Model) -> Index:
    """The index of an opened model; ConfigError when it has none."""
    if model.index is None:
        raise ConfigError(f"{model.name}: has no index; make one with 'eimf index {model.name}'")
    return Index(model.name, model.index, model.config.items, model.config.dimension)
