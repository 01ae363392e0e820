"""The values of all systems within a slice, and their means over resampled users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eimf_core.evaluation import statistics
from eimf_core.evaluation.measure import MetricColumn
from eimf_core.evaluation.system_results import SystemResult
from eimf_core.numeric.arrays import Bools

ALL = "all"


@dataclass(frozen=True)
class Sampling:
    """How intervals and tests are drawn."""

    resamples: int
    seed: int
    threads: int

    def generator(self, purpose: int, part: int) -> np.random.Generator:
        """A generator of its own for each purpose and slice, so that adding one changes no other figure."""
        return np.random.default_rng([self.seed, purpose, part])


@dataclass(frozen=True)
class EvalSlice:
    """A slice: its users (U,) and the columns that belong to it."""

    name: str
    users: Bools
    columns: list[int]


def eval_slices(columns: Sequence[MetricColumn], user_slices: dict[str, Bools], users: int) -> list[EvalSlice]:
    """All users, then slices of users with the same columns, then slices of targets with their own.

    Args:
        columns: what is measured.
        user_slices: by name which users are of it, (U,).
        users: U.

    Returns:
        The slices, in that order.
    """
    main = [at for at, column in enumerate(columns) if column.slice == ALL]
    made = [EvalSlice(ALL, np.ones(users, dtype=np.bool_), main)]
    made += [EvalSlice(name, mask, main) for name, mask in user_slices.items()]
    names = dict.fromkeys(column.slice for column in columns if column.slice != ALL)
    for name in names:
        members = [at for at, column in enumerate(columns) if column.slice == name]
        made.append(EvalSlice(name, np.ones(users, dtype=np.bool_), members))
    return made


class BootstrappedSlice:
    """Values of all results within a slice, with resampled means: column c of result r is r * width + c."""

    def __init__(self, results: Sequence[SystemResult], part: EvalSlice, sampling: Sampling, number: int) -> None:
        self.part = part
        self.width = len(part.columns)
        stacked = np.concatenate([result.values[:, part.columns] for result in results], axis=1)[part.users]
        # a user without any value here has no target in the slice
        self.values = stacked[~np.isnan(stacked).all(axis=1)] if stacked.size else stacked
        self.users = len(self.values)
        if not self.users:
            return
        self.valid = ~np.isnan(self.values)
        partial = np.flatnonzero(~self.valid.all(axis=0))
        filled = np.where(self.valid, self.values, np.float32(0))
        with np.errstate(invalid="ignore"):
            self.means = filled.sum(axis=0, dtype=np.float64) / self.valid.sum(axis=0)
        columns = np.concatenate([filled, self.valid[:, partial].astype(np.float32)], axis=1)
        count = statistics.resamples_for(self.users, sampling.resamples)
        drawn = statistics.bootstrap_means(columns, count, sampling.generator(0, number), sampling.threads)
        self.resampled = drawn[:, : filled.shape[1]]
        with np.errstate(invalid="ignore", divide="ignore"):
            # the mean of the users who have a value, among those drawn
            self.resampled[:, partial] /= drawn[:, filled.shape[1] :]

    def column(self, result: int, column: int) -> int:
        return result * self.width + column

    def spread(self, members: Sequence[int], column: int) -> float | None:
        """Standard deviation of the means of a group's models."""
        if not members:
            return None
        return float(np.std(self.means[[self.column(member, column) for member in members]], ddof=1))
