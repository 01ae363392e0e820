"""Who is evaluated: users with their histories and targets, and who is left out and why.

All systems of one evaluation answer for the same users, so that their figures can be compared user by
user. What a figure is about is decided here, once:

- Targets are a set: an item that follows twice is one target.
- With `seen="drop"` the task is what the user has not had yet: items of the history (the whole
  history, not only the part a model looks at) are neither ranked nor targets. With "keep" they
  are both.
- A target that a model does not know is a miss of that model; the user stays.
- A user is left out, for all systems, when there is nothing to ask (no targets, or every target
  seen) or nothing to answer from (no history, or none of it known to one of the models).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import Dataset, Offsets, SplitData
from eimf_core.numeric.arrays import Bools, ShortInts


@dataclass(frozen=True)
class EvalUsers:
    """The U users that are evaluated; user i is line `lines[i]` of the split.

    `targets` (int32, distinct per user, rising) and `target_offsets` (U + 1,) are as in SplitData.
    `left_out` counts users by reason, those that prepare left out included. `repeated_targets` counts
    the targets that were taken out because they are in the history.
    """

    split: SplitData
    lines: npt.NDArray[np.int64]
    target_offsets: Offsets
    targets: ShortInts
    left_out: dict[str, int]
    repeated_targets: int

    def __len__(self) -> int:
        return len(self.lines)

    def user(self, row: int) -> str:
        """The user's id."""
        return self.split.users[int(self.lines[row])]

    def history(self, row: int) -> ShortInts:
        """A user's whole history.

        Args:
            row: the user, from 0.

        Returns:
            Item indices (n,), oldest first.
        """
        return self.split.history(int(self.lines[row]))

    def times(self, rows: Sequence[int]) -> list[npt.NDArray[np.float64]] | None:
        """When the items of histories came.

        Args:
            rows: the users.

        Returns:
            Unix seconds (n,) for each user; None where the data has no times.
        """
        return None if self.split.times is None else self._of_histories(self.split.times, rows)

    def events(self, rows: Sequence[int]) -> list[ShortInts] | None:
        """The kinds of behaviour in histories.

        Args:
            rows: the users.

        Returns:
            Numbers of the data (n,) for each user; None where it tells none.
        """
        return None if self.split.events is None else self._of_histories(self.split.events, rows)

    def _of_histories(self, values: npt.NDArray[Any], rows: Sequence[int]) -> list[npt.NDArray[Any]]:
        lines = [int(self.lines[row]) for row in rows]
        return [values[self.split.offsets[line] : self.split.offsets[line + 1]] for line in lines]

    def history_lengths(self) -> npt.NDArray[np.int64]:
        """How long histories are.

        Returns:
            Interactions by user, (U,).
        """
        return np.diff(self.split.offsets)[self.lines]

    def targets_of(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ShortInts]:
        """The targets of some users.

        Args:
            rows: the users, (B,).

        Returns:
            For each target the place in `rows` of its user, and its item index, both (T,).
        """
        parts = [self.targets[self.target_offsets[row] : self.target_offsets[row + 1]] for row in rows]
        return np.repeat(np.arange(len(rows)), [len(part) for part in parts]), np.concatenate(parts)

    def blocks(self, rows: npt.NDArray[np.int64], size: int) -> list[npt.NDArray[np.int64]]:
        """Users in blocks; those with histories of like length share one: less padding.

        Args:
            rows: the users, (n,).
            size: users of a block.

        Returns:
            The users of each block.
        """
        ordered = rows[np.argsort(self.history_lengths()[rows], kind="stable")]
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]

    def target_numbers(self) -> npt.NDArray[np.int64]:
        """How many targets users have.

        Returns:
            Targets by user, (U,).
        """
        return np.diff(self.target_offsets)

    def target_users(self) -> npt.NDArray[np.int64]:
        """Whose the targets are.

        Returns:
            The user (row) that each entry of `targets` belongs to, (T,).
        """
        return np.repeat(np.arange(len(self)), self.target_numbers())


def left_out_before(dataset: Dataset, split: str) -> dict[str, int]:
    """Users without a line in the split, by reason, as prepare counted them.

    Empty where the sidecar does not say, or speaks of another number of lines (the file was cut since).
    """
    report = dataset.facts.get("report")
    try:
        counted = report["splits"][split]  # type: ignore[index]
        if counted["users"] != len(dataset.splits[split]):
            return {}
        return {re.sub(r"\W+", "_", reason).strip("_"): int(count) for reason, count in counted["left_out"].items()}
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}


REASONS = {
    "nothing_in_the_period": "with nothing in the {split} period",
    "no_targets": "without targets",
    "no_history": "without a history",
    "history_unknown": "with a history of items that a model does not know",
    "targets_seen": "whose targets are all in their history",
    "not_in_users": "not in --users",
}
"""Why users are left out, in words; other reasons, which prepare gave, are read as they are."""


def reasons_text(left_out: dict[str, int], split: str) -> str:
    """The users left out, by reason."""
    return ", ".join(
        f"{count:,} {REASONS.get(reason, 'with ' + reason.replace('_', ' ')).format(split=split)}"
        for reason, count in left_out.items()
    )


def select(dataset: Dataset, split: str, seen: str, known: Sequence[Bools]) -> EvalUsers:
    """The users of a split to evaluate.

    Args:
        dataset: with that split.
        split: "test" or "valid".
        seen: "drop" where targets that the history holds do not count, else "keep".
        known: for each model the items that it has a vector for, bool (N + 1,).

    Returns:
        The users, and how many were left out for which reason.
    """
    data = dataset.splits[split]
    width = len(dataset.vocab) + 1
    lengths = np.diff(data.offsets)
    history_users = np.repeat(np.arange(len(data)), lengths)
    keys = np.unique(np.repeat(np.arange(len(data)), np.diff(data.target_offsets)) * width + data.targets)
    asked = np.bincount(keys // width, minlength=len(data)) > 0
    repeated = 0
    if seen == "drop":
        new = ~np.isin(keys, np.unique(history_users * width + data.items))
        repeated = int((~new).sum())
        keys = keys[new]
    numbers = np.bincount(keys // width, minlength=len(data))
    answerable = np.ones(len(data), dtype=np.bool_)
    for mask in known:
        answerable &= np.bincount(history_users, weights=mask[data.items], minlength=len(data)) > 0
    left_out = left_out_before(dataset, split)
    evaluated = np.ones(len(data), dtype=np.bool_)
    for reason, holds in (
        ("no_targets", ~asked),
        ("no_history", lengths == 0),
        ("history_unknown", ~answerable),
        ("targets_seen", numbers == 0),
    ):
        if count := int((evaluated & holds).sum()):
            left_out[reason] = count
        evaluated &= ~holds
    keys = keys[evaluated[keys // width]]
    offsets = np.zeros(int(evaluated.sum()) + 1, dtype=np.int64)
    np.cumsum(numbers[evaluated], out=offsets[1:])
    return EvalUsers(
        split=data,
        lines=np.flatnonzero(evaluated),
        target_offsets=offsets,
        targets=(keys % width).astype(np.int32),
        left_out=left_out,
        repeated_targets=repeated,
    )
