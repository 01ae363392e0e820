"""What is evaluated: a model or a baseline, each giving a score to every item of the data set.

Scores are in the item indices of the data set, whatever a model calls its items. An item that the
model does not know gets -inf: it is never ranked, and a miss where it is a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Dataset
from eimf_core.errors import InputError
from eimf_core.model_directory import artifact
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Bools, Floats, ShortInts

Times = Sequence[npt.NDArray[np.float64]] | None
"""Unix seconds of the items of each history, or None where they are not known."""
Events = Sequence[ShortInts] | None
"""Kinds of behaviour of the items of each history, as numbers of the data set, or None where they are not known."""


@dataclass(frozen=True)
class Scored:
    """Scores (B, N + 1) with column 0 at -inf; the caller may overwrite them.

    `interests` (B, K, d) and `vectors` (N + 1, d) are there when interests made the scores.
    """

    values: Floats
    interests: Floats | None = None
    vectors: Floats | None = None


class System(Protocol):
    """A named way to score the catalogue after a history."""

    @property
    def name(self) -> str:
        """What the figures are called by."""

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        """Scores of all items after each history.

        Args:
            histories: item indices of the data set, oldest first.
            times: unix seconds of each history, if they are known.
            events: kinds of behaviour of each history, as numbers of the data, likewise.

        Returns:
            Scores (B, N + 1), and for a model its interests.
        """


class ModelSystem:
    """A model directory, its item table arranged in the order of the data set.

    `known` (N + 1,) says which items of the data set the model has a vector for, `unmatched` how
    many items of the model the data set does not have.
    """

    def __init__(self, path: str | Path, dataset: Dataset, *, vectors_only: bool = False) -> None:
        """Raises ModelError for a broken directory and InputError when no item is known to both.

        With `vectors_only` the graph of next items adds nothing to the scores.
        """
        self.model = artifact.open_model(path)
        if vectors_only:
            self.model.next_items = None
        self.name = str(path)
        self._rows = np.zeros(len(dataset.vocab) + 1, dtype=np.int64)
        matched = 0
        for row, item in enumerate(self.model.catalogue, start=1):
            if index := dataset.vocab.get(item.item):
                self._rows[index] = row
                matched += 1
        if matched == 0:
            raise InputError(
                f"none of its items is known to {path}; give the data that this model was trained on",
                file=dataset.directory / "items.jsonl",
            )
        self.known: Bools = self._rows > 0
        self.unmatched = len(self.model.catalogue) - matched
        self._unknown = np.flatnonzero(~self.known)
        # what the model calls each kind of behaviour of the data
        kinds = [self.model.event_numbers.get(name, 0) for name in dataset.event_names]
        self._kinds = np.array([0, *kinds], dtype=np.int64)
        same = self.unmatched == 0 and bool((self._rows == np.arange(len(self._rows))).all())
        # the mapped table itself where the two catalogues agree, else a copy in the right order
        self._vectors: Floats = np.asarray(self.model.vectors if same else self.model.vectors[self._rows], np.float32)
        # the column of each item of the model, 0 where the data does not have it
        self._columns: ShortInts | None = None
        if not same:
            self._columns = np.zeros(len(self.model.catalogue) + 1, dtype=np.int32)
            self._columns[self._rows] = np.arange(len(self._rows))
            self._columns[0] = 0
        scale = self.model.scale
        self._scale: Floats | None = None if scale is None else np.asarray(scale[self._rows], np.float32)

    @property
    def seed(self) -> int:
        """The seed the model was trained with."""
        return self.model.config.seed

    def rows(self, items: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The model's own indices of items of the data set.

        Args:
            items: indices of the data set, of any shape.

        Returns:
            Of the same shape, 0 for those that the model does not know.
        """
        found: npt.NDArray[np.int64] = self._rows[np.asarray(items, dtype=np.int64)]
        return found

    def interests(
        self, histories: Sequence[ShortInts], times: Times = None, events: Events = None
    ) -> tuple[Floats, Floats]:
        """The interests of users, over the last items that the model knows.

        Args:
            histories: item indices of the data set, oldest first.
            times: unix seconds of each history, if they are known.
            events: kinds of behaviour of each history, likewise.

        Returns:
            Interests (B, K, d), and what they attend to, (B, K, L).
        """
        rows = [self._rows[history] for history in histories]
        known = None if times is None else [when[own > 0] for own, when in zip(rows, times, strict=True)]
        kinds = None
        if events is not None and self.model.event_numbers:
            kinds = [self._kinds[numbers[own > 0]] for own, numbers in zip(rows, events, strict=True)]
        return self.model.interests([own[own > 0] for own in rows], known, kinds)

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        interests, _ = self.interests(histories, times, events)
        values = ranking.best_scores(interests, self._vectors, self._scale, self.model.interest_product.parts)
        if self.model.next_items is not None:
            rows = [self._rows[history] for history in histories]
            self.model.next_items.add(values, [own[own > 0] for own in rows], columns=self._columns)
        values[:, self._unknown] = -np.inf
        return Scored(values, interests, self._vectors)
