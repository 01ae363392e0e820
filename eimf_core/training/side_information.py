"""What is read beside item vectors: when an item came, its features (categories), its kind of behaviour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eimf_core.dataset import Dataset
from eimf_core.numeric import category_numbers
from eimf_core.numeric.padding import padded
from eimf_core.progress import Reporter
from eimf_core.records import Item

MAX_FEATURES = 8  # of an item
DAY = 86_400.0
UNKNOWN_SHARE = 0.5  # of the histories that are learned from as if their times, or kinds of behaviour, were unknown


@dataclass(frozen=True)
class MaskedSideInputs:
    """Whose `times` and kinds of behaviour (`events`) are masked, each bool (B,)."""

    times: npt.NDArray[np.bool_]
    events: npt.NDArray[np.bool_]

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> MaskedSideInputs:
        return MaskedSideInputs(self.times[rows], self.events[rows])


class SideInputs:
    """`features` int32 (N + 1, F), from 1, 0 for none, or None; `kinds`, how many there are.

    Times and kinds of behaviour are known where the data has them, and half of the histories are learned
    without: one that is typed in has none. `timed` says whether times were there to learn from, `events`
    names the kinds of behaviour of the training lines, if the backbone is to know them.
    """

    def __init__(self, wanted: Collection[str], data: Dataset, reporter: Reporter, *, events: bool = False) -> None:
        self.features: npt.NDArray[np.int32] | None = None
        self.kinds = 0
        self._times = self._events = None
        self.events: list[str] = []
        self.device = torch.device("cpu")  # where the tensors it gives lie
        if "features" in wanted:
            self.features, self.kinds = item_features(data.items)
            if not self.kinds:
                self.features = None
                reporter.warn("the items have no categories: the backbone runs on the items alone")
        if "days" in wanted:
            self._times = data.splits["train"].times
            if self._times is None:
                reporter.warn("the training lines have no times: the backbone runs on the order alone")
        if events:
            known = data.splits["train"].events
            if known is None:
                reporter.warn(
                    "the training lines have no events: --item-events has no effect; "
                    "name their column to eimf prepare with --event-column"
                )
            else:
                learned = np.unique(known)
                self.events = [data.event_names[number - 1] for number in learned]
                # what stands in other lines alone is unknown
                self._numbers = np.zeros(len(data.event_names) + 1, dtype=np.int64)
                self._numbers[learned] = np.arange(1, len(learned) + 1)
                self._events = known

    @property
    def timed(self) -> bool:
        return self._times is not None

    def of_histories(
        self, inputs: npt.NDArray[np.int64], times: Sequence[npt.NDArray[np.float64]] | None,
        events: Sequence[npt.NDArray[np.int32]] | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Side inputs of histories.

        Args:
            inputs: item indices (B, L), padded at the end.
            times: unix seconds of each history, if they are known.
            events: kinds of behaviour of each history, as numbers of the data, likewise.

        Returns:
            Tensors (B, L, …) by name.
        """
        side = self.of_items(inputs)
        if self._times is not None and times is not None:
            days = np.full(inputs.shape, -1.0, dtype=np.float32)
            for row, when in enumerate(times):
                days[row, : len(when)] = (when.max() - when) / DAY
            side["days"] = torch.from_numpy(days).to(self.device)
        if self.events and events is not None:
            kinds = padded([self._numbers[known] for known in events])
            side["events"] = torch.from_numpy(kinds).to(self.device)
        return side

    def of_items(self, inputs: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        """Side inputs of histories, times and events unknown.

        Args:
            inputs: item indices (B, L), padded at the end.

        Returns:
            Tensors (B, L, …) by name.
        """
        if self.features is None:
            return {}
        return {"features": torch.from_numpy(self.features[inputs].astype(np.int64)).to(self.device)}

    def mask(self, count: int, rng: np.random.Generator) -> MaskedSideInputs:
        """Which of so many histories are learned from as if their times, or kinds of behaviour, were unknown."""

        def drawn(known: npt.NDArray[Any] | None) -> npt.NDArray[np.bool_]:
            return np.zeros(count, dtype=bool) if known is None else rng.random(count) < UNKNOWN_SHARE

        return MaskedSideInputs(times=drawn(self._times), events=drawn(self._events))

    def of_batch(
        self, inputs: npt.NDArray[np.int64], positions: npt.NDArray[np.int64], masked: MaskedSideInputs
    ) -> dict[str, Tensor]:
        """Side inputs of training histories.

        Args:
            inputs: item indices (B, L), padded at the end.
            positions: where they stand in the training split, (B, L).
            masked: of `mask`, (B,).

        Returns:
            Tensors (B, L, …) by name.
        """
        side = self.of_items(inputs)
        if self._times is not None:
            there = inputs > 0
            times = self._times[positions]
            days = (times.max(axis=1, where=there, initial=-np.inf)[:, None] - times) / DAY
            unknown = ~there | masked.times[:, None]
            known = np.where(unknown, -1.0, np.maximum(days, 0.0)).astype(np.float32)
            side["days"] = torch.from_numpy(known).to(self.device)
        if self._events is not None:
            unknown = (inputs == 0) | masked.events[:, None]
            kinds = np.where(unknown, 0, self._numbers[self._events[positions]])
            side["events"] = torch.from_numpy(kinds).to(self.device)
        return side


def item_features(items: list[Item]) -> tuple[npt.NDArray[np.int32], int]:
    """Categories as numbers from 1 in the order of `feature_names`.

    Args:
        items: the catalogue.

    Returns:
        (N + 1, F), 0 for none, and how many categories there are.
    """
    shared = feature_names(items)
    _, numbers, bounds = category_numbers.numbered((item.categories for item in items), shared)
    parts = np.split(numbers + 1, bounds[:-1])
    return padded([part[:MAX_FEATURES] for part in parts], np.int32), len(shared)


def feature_names(items: list[Item]) -> list[str]:
    """The categories that count, by falling frequency.

    A category of one item alone tells nothing that the item does not, and is left out.
    """
    counts = Counter(name for item in items for name in set(item.categories))
    return sorted((name for name, count in counts.items() if count > 1), key=lambda name: (-counts[name], name))
