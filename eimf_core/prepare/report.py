"""What a log is like and what became of it: counts by step, quantiles, the size of each split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.prepare.filters import FilterStep
from eimf_core.prepare.item_catalogue import Catalogue
from eimf_core.prepare.log_arrays import Log
from eimf_core.prepare.order_status import StatusColumn
from eimf_core.prepare.splits import SplitPlan

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class SplitSize:
    """One split: users with a line, interactions in histories, targets, cold ones, users without a line.

    A target is cold when its item is in no training line, a user when it has none itself. Items are
    those of histories and targets.
    """

    users: int
    interactions: int
    targets: int
    items: int
    cold_items: int
    cold_targets: int
    cold_users: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class Report:
    """The report on a preparation.

    rejected: bad rows by reason. steps: what each filter removed. Then, of what is left: lengths (of
    users, by quantile), density (share of user-item pairs
    that occur, however often), equal_times (share of interactions with
    the time of the user's one before), repeats (share that are an
    item the user had before), period (first and last time). unused: interactions in no line.
    first_rows: the first rows as they were understood, before the filters. ordered_by: the columns that order equal
    times; empty where the file does. states: what columns such as `status` say of the interactions.
    """

    rejected: dict[str, int]
    steps: list[FilterStep]
    lengths: dict[str, int]
    density: float
    equal_times: float | None
    repeats: float | None
    period: tuple[float, float] | None
    unused: int
    splits: dict[str, SplitSize]
    items_without_text: int
    described_not_in_log: int
    first_rows: list[dict[str, Any]] = field(default_factory=list)
    ordered_by: str = ""
    states: list[StatusColumn] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            **vars(self),
            "steps": [vars(step) for step in self.steps],
            "states": [vars(state) for state in self.states],
            "splits": {name: vars(size) for name, size in self.splits.items()},
        }


def make_report(
    log: Log,
    plan: SplitPlan,
    steps: list[FilterStep],
    *,
    rejected: Mapping[str, int],
    catalogue: Catalogue,
    ordered_by: str = "",
) -> Report:
    """The report on a filtered log and its split.

    Args:
        log: behind all filters.
        plan: of its split.
        steps: what each filter removed.
        rejected: how many bad rows there were, by reason.
        catalogue: the items with their text.
        ordered_by: the columns that order equal times.

    Returns:
        The report, without first rows and columns of statuses.
    """
    lengths = np.diff(log.offsets)
    equal, repeats = _equal_and_repeated(log)
    trained = _trained_items(log, plan)
    splits = {"train": _train_size(log, plan, trained)}
    for name in plan.history:
        splits[name] = _size(log, plan, name, trained)
    return Report(
        rejected=dict(rejected),
        steps=steps,
        lengths=quantiles(lengths),
        density=(len(log) - repeats) / (len(log.user_ids) * len(log.item_ids)),
        equal_times=None if log.times is None else equal / len(log),
        repeats=repeats / len(log),
        period=None if log.times is None else (float(log.times.min()), float(log.times.max())),
        unused=len(log) - plan.used(log),
        splits=splits,
        items_without_text=len(catalogue.without_text),
        described_not_in_log=catalogue.not_in_log,
        ordered_by=ordered_by,
    )


def quantiles(lengths: npt.NDArray[np.int64]) -> dict[str, int]:
    """Interactions of a user, by quantile.

    Args:
        lengths: int64 (U,).

    Returns:
        By quantile, such as "50%", the length.
    """
    values = np.quantile(lengths, QUANTILES, method="lower")
    return {f"{quantile:.0%}": int(value) for quantile, value in zip(QUANTILES, values, strict=True)}


def _equal_and_repeated(log: Log) -> tuple[int, int]:
    """Interactions with the time of the one before, and with an item that the user had before."""
    equal, distinct = 0, 0
    for first, last in log.chunks():
        start, end = int(log.offsets[first]), int(log.offsets[last])
        users = log.users(first, last)
        if log.times is not None:
            times = log.times[start:end]
            equal += int(((times[1:] == times[:-1]) & (users[1:] == users[:-1])).sum())
        pairs = users * len(log.item_ids)
        pairs += log.items[start:end]
        pairs.sort()
        distinct += int((pairs[1:] != pairs[:-1]).sum()) + 1
    return equal, len(log) - distinct


def _trained_items(log: Log, plan: SplitPlan) -> npt.NDArray[np.bool_]:
    """Which items occur in a training line."""
    trained = np.zeros(len(log.item_ids), dtype=bool)
    for first, last in log.chunks():
        start, end = int(log.offsets[first]), int(log.offsets[last])
        inside = plan.train[first:last][log.users(first, last)] > np.arange(start, end)
        trained[log.items[start:end][inside]] = True
    return trained


def _train_size(log: Log, plan: SplitPlan, trained: npt.NDArray[np.bool_]) -> SplitSize:
    lengths = plan.train - log.offsets[:-1]
    return SplitSize(
        users=int((lengths > 0).sum()),
        interactions=int(lengths.sum()),
        targets=0,
        items=int(trained.sum()),
        cold_items=0,
        cold_targets=0,
        cold_users=0,
        left_out=_left_out(plan, "train"),
    )


def _size(log: Log, plan: SplitPlan, name: str, trained: npt.NDArray[np.bool_]) -> SplitSize:
    start, history, targets = log.offsets[:-1], plan.history[name], plan.targets[name]
    lines = targets > history
    counts = (targets - history)[lines]
    # rows of all targets: a range for each line
    target_rows = np.repeat(history[lines] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    present = np.zeros(len(log.item_ids), dtype=bool)
    for first, last in log.chunks():
        begin, end = int(log.offsets[first]), int(log.offsets[last])
        reach = np.where(lines, targets, start)[first:last]
        present[log.items[begin:end][reach[log.users(first, last)] > np.arange(begin, end)]] = True
    return SplitSize(
        users=int(lines.sum()),
        interactions=int((history - start)[lines].sum()),
        targets=int(counts.sum()),
        items=int(present.sum()),
        cold_items=int((present & ~trained).sum()),
        cold_targets=int((~trained[log.items[target_rows]]).sum()),
        cold_users=int((lines & (plan.train == start)).sum()),
        left_out=_left_out(plan, name),
    )


def _left_out(plan: SplitPlan, name: str) -> dict[str, int]:
    return {reason: count for reason, count in plan.left_out.get(name, {}).items() if count}


def warnings(made: Report, split: str, empty_splits: Collection[str] = ()) -> list[str]:
    """What the user should know before the next step, and what to change.

    Args:
        made: the report.
        split: how it was split.
        empty_splits: those that are meant to be empty.

    Returns:
        A line each.
    """
    found = []
    if not made.splits["train"].users:
        found.append("no user has a training line; choose another split")
    for name in ("valid", "test"):
        size = made.splits.get(name)
        if size is None or name in empty_splits:
            continue
        if not size.users:
            advice = {
                "temporal": "move --valid-from and --test-from, or raise --valid-share and --test-share",
                "given": "add lines of it where they were made",
                "users": "name users of it in --users who have at least two interactions",
                "by-user": "raise --valid-share and --test-share or give more users",
            }.get(split, "longer histories are needed, or --split none")
            found.append(f"the {name} split is empty; {advice}")
        elif size.cold_targets == size.targets:
            found.append(
                f"all {name} targets are items that training never sees; raise --min-item, "
                "or give the training period more time"
            )
    return found
