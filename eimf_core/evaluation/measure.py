"""Rank the whole catalogue for every case and turn the lists into figures per user, block by block.

One block of users is scored against all items, masked, cut to the longest list and measured; then
its scores are gone. What stays is a few numbers per user and two counters per item.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.dataset import Ints
from eimf_core.errors import ModelError
from eimf_core.evaluation import aggregate_metrics as of_totals
from eimf_core.evaluation import list_metrics as of_lists
from eimf_core.evaluation import metrics
from eimf_core.evaluation.eval_users import Cases
from eimf_core.evaluation.interest_usage import InterestUse, interest_cosine
from eimf_core.evaluation.scorers import Scored, System
from eimf_core.evaluation.slices import TargetSlice
from eimf_core.progress import SILENT, Reporter

MOST_SCORES = 1 << 24
"""Scores held per thread (64 MiB)."""
LARGEST_BLOCK = 128
INTEREST_COSINE = "interest_cosine"


class Column(NamedTuple):
    """One value per user: a metric at a cutoff (None where it has none), for all targets or a slice of them."""

    metric: str
    k: int | None
    slice: str = "all"


@dataclass(frozen=True)
class Plan:
    """What is measured, the same for all systems of an evaluation.

    `priority` (N + 1,) is the order of the catalogue in which ties are broken.
    """

    ks: Sequence[int]
    metrics: Sequence[str]
    seen: str
    facts: of_lists.CatalogueFacts
    priority: npt.NDArray[np.int64]
    target_slices: Sequence[TargetSlice] = ()
    threads: int = 1

    @property
    def columns(self) -> list[Column]:
        """Every per-user value, in the order of `Measured.values`."""
        made = [Column(name, k) for k in self.ks for name in self.metrics if name in metrics.ACCURACY]
        made += [Column(name, k) for k in self.ks for name in self.metrics if name in of_lists.PER_USER]
        made += [Column(name, None) for name in self.metrics if name == INTEREST_COSINE]
        for part in self.target_slices:
            made += [Column(name, k, part.name) for k in self.ks for name in self.metrics if name in metrics.ACCURACY]
        return made


@dataclass
class Measured:
    """The values of one system: `values` (U, C) float32 for the plan's columns, NaN where a user has none.

    `recommended[k]` (N + 1,) counts how often each item was recommended. `lists` (n, largest k) are
    those of the cases `kept` (n,).
    """

    system: str
    columns: list[Column]
    values: npt.NDArray[np.float32]
    recommended: dict[int, npt.NDArray[np.int64]]
    kept: npt.NDArray[np.int64]
    lists: npt.NDArray[np.int32]
    interest_use: InterestUse | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def column(self, metric: str, k: int | None, slice: str = "all") -> npt.NDArray[np.float32]:
        """One value per user, shape (U,)."""
        return self.values[:, self.columns.index(Column(metric, k, slice))]

    def totals(self, k: int) -> of_totals.Totals:
        """What the lists of this length are like all together."""
        return of_totals.Totals.of(self.recommended[k], self.lists[:, :k])


def measure(system: System, cases: Cases, plan: Plan, *, reporter: Reporter = SILENT) -> Measured:
    """All values of a system. Raises ModelError that names the user whose scores are no numbers."""
    from threadpoolctl import threadpool_limits

    width = len(plan.priority)
    wanted = any(name in of_totals.TOTALS for name in plan.metrics)
    kept = of_totals.kept(len(cases) if wanted else 0, max(plan.ks))
    result = Measured(
        system=system.name,
        columns=plan.columns,
        values=np.empty((len(cases), len(plan.columns)), dtype=np.float32),
        recommended={k: np.zeros(width, dtype=np.int64) for k in plan.ks},
        kept=kept,
        lists=np.zeros((len(kept), max(plan.ks)), dtype=np.int32),
    )
    # users with histories of like length share a block: less padding for the network
    order = np.argsort(cases.history_lengths(), kind="stable")
    size = max(1, min(LARGEST_BLOCK, MOST_SCORES // width))
    blocks = [order[start : start + size] for start in range(0, len(order), size)]
    reporter.begin(f"ranking with {system.name}", len(cases))
    try:
        # one BLAS thread each: blocks run side by side, and their results do not depend on how many
        with threadpool_limits(1, user_api="blas"):
            if plan.threads <= 1:
                for rows in blocks:
                    _block(system, cases, plan, rows, result)
                    reporter.advance(len(rows))
                return result
            pool = ThreadPoolExecutor(plan.threads)
            try:
                waiting = [pool.submit(_block, system, cases, plan, rows, result) for rows in blocks]
                for rows, done in zip(blocks, waiting, strict=True):
                    done.result()
                    reporter.advance(len(rows))
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        reporter.end()
    return result


def rank(
    system: System, cases: Cases, rows: Sequence[int], plan: Plan
) -> tuple[npt.NDArray[np.int64], Scored, list[Ints]]:
    """Lists (B, largest k) of item indices for these cases, 0 where there is no item, scores and histories."""
    histories = [cases.history(case) for case in rows]
    scored = system.score(histories, cases.times(rows), cases.events(rows))
    if plan.seen == "drop":
        ranking.drop(scored.values, histories)
    try:
        lists = ranking.top_k(scored.values, max(plan.ks), plan.priority)
    except ValueError as error:
        user = cases.user(rows[error.args[1]])
        raise ModelError(
            f"{system.name}: a score for user '{user}' is not a finite number; the model is broken"
        ) from None
    lists[np.isneginf(np.take_along_axis(scored.values, lists, axis=1))] = 0
    return lists, scored, histories


def _block(system: System, cases: Cases, plan: Plan, rows: npt.NDArray[np.int64], result: Measured) -> None:
    lists, scored, histories = rank(system, cases, rows.tolist(), plan)
    targets = _Targets(cases, rows, len(plan.priority))
    hits = metrics.find_hits(lists, targets.rows, targets.items, targets.width)
    values = [
        (metrics.ACCURACY[column.metric](hits, targets.numbers(), column.k))
        for column in plan.columns
        if column.slice == "all" and column.k is not None and column.metric in metrics.ACCURACY
    ]
    values += [
        of_lists.PER_USER[column.metric](lists, plan.facts, column.k)
        for column in plan.columns
        if column.k is not None and column.metric in of_lists.PER_USER
    ]
    if INTEREST_COSINE in plan.metrics:
        values.append(interest_cosine(scored.interests, len(rows)))
    for part in plan.target_slices:
        within = hits & part.of_lists(lists, histories)
        numbers = targets.numbers(part.of_targets(targets.rows, targets.items, histories))
        known = np.maximum(numbers, 1)
        values += [
            np.where(numbers > 0, metrics.ACCURACY[column.metric](within, known, column.k), np.nan)
            for column in plan.columns
            if column.slice == part.name and column.k is not None
        ]
    if values:
        result.values[rows] = np.stack(values, axis=1)
    if len(result.kept):
        places = np.searchsorted(result.kept, rows)
        within = np.take(result.kept, places, mode="clip") == rows
        result.lists[places[within], : lists.shape[1]] = lists[within]
    with result.lock:
        for k, counter in result.recommended.items():
            cut = lists[:, :k]
            np.add.at(counter, cut[cut > 0], 1)
        if scored.interests is not None and scored.vectors is not None and scored.interests.shape[1] > 1:
            if result.interest_use is None:
                result.interest_use = InterestUse(len(cases), scored.interests.shape[1], plan.ks)
            result.interest_use.add(rows, ranking.sources(scored.interests, scored.vectors, lists), lists, hits)


class _Targets:
    """The targets of a block: `items` (T,) and the `rows` (T,) of the block they belong to."""

    def __init__(self, cases: Cases, rows: npt.NDArray[np.int64], width: int) -> None:
        parts = [cases.targets[cases.target_offsets[case] : cases.target_offsets[case + 1]] for case in rows]
        self.rows = np.repeat(np.arange(len(rows)), [len(part) for part in parts])
        self.items = np.concatenate(parts)
        self.width = width
        self._size = len(rows)

    def numbers(self, kept: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
        rows = self.rows if kept is None else self.rows[kept]
        return np.bincount(rows, minlength=self._size)
