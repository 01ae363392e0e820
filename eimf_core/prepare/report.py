"""What a log is like and what became of it: counts by step, quantiles, the size of each split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.prepare.filters import Step
from eimf_core.prepare.flat import Log
from eimf_core.prepare.splits import Plan

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class SplitSize:
    """One split: users with a line, interactions in histories, targets; cold ones are not in training."""

    users: int
    interactions: int
    targets: int
    cold_targets: int
    cold_users: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class Report:
    """Everything that is said about a preparation; `as_dict` is what goes into the sidecar."""

    steps: list[Step]
    lengths: dict[str, int]
    density: float
    unused: int
    splits: dict[str, SplitSize]
    items_without_text: int
    period: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "steps": [vars(step) for step in self.steps],
            "lengths": self.lengths,
            "density": self.density,
            "unused": self.unused,
            "splits": {name: vars(size) for name, size in self.splits.items()},
            "items_without_text": self.items_without_text,
            "period": self.period,
        }


def make(log: Log, plan: Plan, steps: list[Step], without_text: int) -> Report:
    """The report on a filtered log and its split."""
    lengths = np.diff(log.offsets)
    trained = _trained_items(log, plan)
    splits = {"train": _train_size(log, plan)}
    for name in plan.history:
        splits[name] = _size(log, plan, name, trained)
    return Report(
        steps=steps,
        lengths={
            f"{quantile:.0%}": int(value)
            for quantile, value in zip(QUANTILES, np.quantile(lengths, QUANTILES, method="lower"), strict=True)
        },
        density=len(log) / (len(log.user_ids) * len(log.item_ids)),
        unused=len(log) - plan.used(log),
        splits=splits,
        items_without_text=without_text,
        period=None if log.times is None else (float(log.times.min()), float(log.times.max())),
    )


def _trained_items(log: Log, plan: Plan) -> npt.NDArray[np.bool_]:
    """Which items occur in a training line."""
    trained = np.zeros(len(log.item_ids), dtype=bool)
    for first, last in log.chunks():
        start, end = int(log.offsets[first]), int(log.offsets[last])
        inside = np.repeat(plan.train[first:last], np.diff(log.offsets[first : last + 1])) > np.arange(start, end)
        trained[log.items[start:end][inside]] = True
    return trained


def _train_size(log: Log, plan: Plan) -> SplitSize:
    lengths = plan.train - log.offsets[:-1]
    return SplitSize(int((lengths > 0).sum()), int(lengths.sum()), 0, 0, 0, {})


def _size(log: Log, plan: Plan, name: str, trained: npt.NDArray[np.bool_]) -> SplitSize:
    start, history, targets = log.offsets[:-1], plan.history[name], plan.targets[name]
    lines = targets > history
    counts = (targets - history)[lines]
    # positions of all targets: a range for each line
    places = np.repeat(history[lines] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    return SplitSize(
        users=int(lines.sum()),
        interactions=int((history - start)[lines].sum()),
        targets=int(counts.sum()),
        cold_targets=int((~trained[log.items[places]]).sum()),
        cold_users=int((lines & (plan.train == start)).sum()),
        left_out={reason: count for reason, count in plan.left_out.get(name, {}).items() if count},
    )
