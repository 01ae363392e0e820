"""Titles as vectors, encoded once per run, and the history items that are nearest to an interest's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.text.cache import encode_cached
from eimf_core.text.encoder import TextEncoder

MIN_COSINE = 0.2  # an item farther than this from every name belongs to no interest


class TitleVectors:
    """Unit vectors of titles; nothing is encoded before the first call of `of`.

    With a `cache` folder the vectors are kept there by content (see `text.cache`).
    """

    def __init__(
        self, titles: Iterable[str], encoder: TextEncoder, cache: Path | None = None, reporter: Reporter = SILENT
    ) -> None:
        self.encoder = encoder
        self.titles = sorted(set(titles))
        self._cache = cache
        self._reporter = reporter
        self._rows: dict[str, int] = {}
        self._vectors: npt.NDArray[np.floating] | None = None
        self._names: dict[str, npt.NDArray[np.floating]] = {}

    def of(self, titles: Sequence[str]) -> Floats:
        """Vectors of some of the titles.

        Args:
            titles: n of them.

        Returns:
            float32 (n, D), unit vectors.
        """
        if self._vectors is None:
            if self._cache is None:
                self._vectors = self.encoder.encode(self.titles, self._reporter)
            else:
                self._vectors = encode_cached(self.titles, self.encoder, self._cache, self._reporter)
            self._rows = {title: row for row, title in enumerate(self.titles)}
        rows = [self._rows[title] for title in titles]
        return np.asarray(self._vectors[rows], dtype=np.float32)

    def of_names(self, names: Sequence[str]) -> Floats:
        """Vectors of names of interests. Each is encoded once and alone: the same whichever label it comes up in first.

        Args:
            names: n names.

        Returns:
            float32 (n, D), unit vectors.
        """
        for name in names:
            if name not in self._names:
                self._names[name] = self.encoder.encode([name])[0]
        return np.asarray([self._names[name] for name in names], dtype=np.float32)


def assign(names: Floats, titles: Floats) -> list[list[int]]:
    """Assign each title to its nearest name.

    Args:
        names, titles: unit vectors (M, D) and (n, D).

    Returns:
        For each name the positions of its titles; a title with a cosine below `MIN_COSINE` belongs to none. A name
        that no title is nearest to keeps the one title nearest to it, so that every interest has an item.
    """
    if not len(names) or not len(titles):
        return [[] for _ in range(len(names))]
    cosines = titles @ names.T
    best = cosines.argmax(axis=1)
    chosen = [np.flatnonzero((best == at) & (cosines[:, at] >= MIN_COSINE)).tolist() for at in range(len(names))]
    return [items or [int(cosines[:, at].argmax())] for at, items in enumerate(chosen)]
