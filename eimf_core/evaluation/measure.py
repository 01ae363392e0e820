"""Rank the whole catalogue for every user and turn the lists into values per user, block by block.

One block of users is scored against all items, masked, cut to the longest list and measured; then its scores are
gone. `measure_block` is what `eimf eval` and the validation of training have in common. `measure` runs it over all
users of an evaluation, in threads; what stays is a few numbers per user and two counters per item.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ModelError
from eimf_core.evaluation.eval_users import EvalUsers
from eimf_core.evaluation.metrics import accuracy, aggregate_metrics, list_metrics
from eimf_core.evaluation.metrics.interest_metrics import OF_INTERESTS, SHARES, InterestUse
from eimf_core.evaluation.scorers import Scored, System
from eimf_core.evaluation.slices import TargetSlice
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import ShortInts
from eimf_core.progress import SILENT, Reporter

MAX_SCORES = 1 << 24
"""Scores held per thread (64 MiB)."""
LARGEST_BLOCK = 128


class MetricColumn(NamedTuple):
    """One value per user: a metric at a cutoff (None where it has none), for all targets or a slice of them."""

    metric: str
    k: int | None
    slice: str = "all"


@dataclass(frozen=True)
class MeasurePlan:
    """What is measured, the same for all systems of an evaluation.

    `priority` (N + 1,) is the order of the catalogue in which ties are broken. `facts` are needed for list metrics.
    """

    ks: Sequence[int]
    metrics: Sequence[str]
    seen: str
    priority: npt.NDArray[np.int64]
    facts: list_metrics.CatalogueFacts | None = None
    target_slices: Sequence[TargetSlice] = ()
    threads: int = 1

    @cached_property
    def columns(self) -> list[MetricColumn]:
        """Every value per user, in the order of `MeasuredBlock.values` and `Measured.values`."""
        made = [MetricColumn(name, k) for k in self.ks for name in self.metrics if name in accuracy.ACCURACY]
        made += [MetricColumn(name, k) for k in self.ks for name in self.metrics if name in list_metrics.PER_USER]
        made += [MetricColumn(name, None) for name in self.metrics if name in OF_INTERESTS]
        for part in self.target_slices:
            made += [
                MetricColumn(name, k, part.name) for k in self.ks for name in self.metrics if name in accuracy.ACCURACY
            ]
        return made

    def wants(self, names: Container[str]) -> bool:
        """Whether any of the metrics is to be measured."""
        return any(name in names for name in self.metrics)


@dataclass(frozen=True)
class MeasuredBlock:
    """Some users, measured: `values` float64 (B, C) for the plan's columns, NaN where a user has none.

    `lists` (B, largest k) are item indices, 0 where there is no item, `hits` (B, largest k) says which are targets.
    """

    rows: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    lists: npt.NDArray[np.int64]
    hits: npt.NDArray[np.bool_]
    scored: Scored


@dataclass
class Measured:
    """The values of one system: `values` (U, C) float32 for the plan's columns, NaN where a user has none.

    `recommended[k]` (N + 1,) counts how often each item was recommended. `lists` (n, largest k) are
    those of the users `sampled` (n,).
    """

    system: str
    columns: list[MetricColumn]
    values: npt.NDArray[np.float32]
    recommended: dict[int, npt.NDArray[np.int64]]
    sampled: npt.NDArray[np.int64]
    lists: npt.NDArray[np.int32]
    interest_use: InterestUse | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def column(self, metric: str, k: int | None, slice: str = "all") -> npt.NDArray[np.float32]:
        """The values of one metric.

        Args:
            metric: its name.
            k: the cutoff; None for a metric that has none.
            slice: of the targets.

        Returns:
            One value a user, (U,).
        """
        return self.values[:, self.columns.index(MetricColumn(metric, k, slice))]

    def aggregates(self, k: int) -> dict[str, aggregate_metrics.AggregateValue]:
        """What the lists of this length are like all together."""
        return aggregate_metrics.list_aggregates(self.recommended[k], self.lists[:, :k])


def block_size(width: int, most: int = LARGEST_BLOCK) -> int:
    """Users of a block, at most `most`, for `width` scores each."""
    return max(1, min(most, MAX_SCORES // width))


def measure(system: System, users: EvalUsers, plan: MeasurePlan, *, reporter: Reporter = SILENT) -> Measured:
    """All values of a system.

    Args:
        system: gives the scores.
        users: who is asked.
        plan: what is measured.
        reporter: hears of progress.

    Returns:
        Values by user, and what lists hold all together.

    Raises:
        ModelError: a score is no number; it names the user.
    """
    from threadpoolctl import threadpool_limits

    width = len(plan.priority)
    sampled = aggregate_metrics.sampled_users(
        len(users) if plan.wants(aggregate_metrics.AGGREGATES) else 0, max(plan.ks)
    )
    result = Measured(
        system=system.name,
        columns=plan.columns,
        values=np.empty((len(users), len(plan.columns)), dtype=np.float32),
        recommended={k: np.zeros(width, dtype=np.int64) for k in plan.ks},
        sampled=sampled,
        lists=np.zeros((len(sampled), max(plan.ks)), dtype=np.int32),
    )

    def one(rows: npt.NDArray[np.int64]) -> None:
        _add(measure_block(system, users, plan, rows), users, plan, result)

    blocks = users.blocks(np.arange(len(users)), block_size(width))
    reporter.begin(f"ranking with {system.name}", len(users))
    pool = ThreadPoolExecutor(plan.threads)
    try:
        # one BLAS thread each: blocks run side by side, and their results do not depend on how many
        with threadpool_limits(1, user_api="blas"):
            for rows, done in zip(blocks, [pool.submit(one, rows) for rows in blocks], strict=True):
                done.result()
                reporter.advance(len(rows))
    finally:
        pool.shutdown(cancel_futures=True)
        reporter.end()
    return result


def rank(
    system: System, users: EvalUsers, rows: Sequence[int], plan: MeasurePlan
) -> tuple[npt.NDArray[np.int64], Scored, list[ShortInts]]:
    """Rank the catalogue for some users.

    Args:
        system: gives the scores.
        users: of the evaluation.
        rows: which of them, B.
        plan: how long lists are, and whether they hold what the history does.

    Returns:
        Lists (B, largest k) of item indices, 0 where there is no item; scores; histories.

    Raises:
        ModelError: a score is no number; it names the user.
    """
    histories = [users.history(row) for row in rows]
    scored = system.score(histories, users.times(rows), users.events(rows))
    if plan.seen == "drop":
        ranking.drop(scored.values, histories)
    try:
        lists = ranking.top_k(scored.values, max(plan.ks), plan.priority)
    except ValueError as error:
        user = users.user(rows[error.args[1]])
        raise ModelError(
            f"{system.name}: a score for user '{user}' is not a finite number; the model is broken"
        ) from None
    lists[np.isneginf(np.take_along_axis(scored.values, lists, axis=1))] = 0
    return lists, scored, histories


def measure_block(system: System, users: EvalUsers, plan: MeasurePlan, rows: npt.NDArray[np.int64]) -> MeasuredBlock:
    """Rank the catalogue for some users and measure the lists.

    Args:
        system: gives the scores.
        users: of the evaluation.
        plan: what is measured.
        rows: which users, (B,).

    Returns:
        The values, with the lists and scores that they are of.

    Raises:
        ModelError: a score is no number; it names the user.
    """
    lists, scored, histories = rank(system, users, rows.tolist(), plan)
    owners, items = users.targets_of(rows)
    numbers = np.bincount(owners, minlength=len(rows))
    hits = accuracy.find_hits(lists, owners, items, len(plan.priority))
    values = np.empty((len(rows), len(plan.columns)))
    within = {"all": (hits, numbers)}
    for part in plan.target_slices:
        targets = np.bincount(owners[part.of_targets(owners, items, histories)], minlength=len(rows))
        within[part.name] = (hits & part.of_lists(lists, histories), targets)
    for at, (metric, k, slice) in enumerate(plan.columns):
        if k is None:
            several = scored.interests is not None
            values[:, at] = OF_INTERESTS[metric](scored.interests) if several else np.nan  # type: ignore[arg-type]
        elif metric in accuracy.ACCURACY:
            found, wanted = within[slice]
            values[:, at] = accuracy.ACCURACY[metric](found, np.maximum(wanted, 1), k)
            values[wanted == 0, at] = np.nan
        else:
            assert plan.facts is not None
            values[:, at] = list_metrics.PER_USER[metric](lists, plan.facts, k)
    return MeasuredBlock(rows, values, lists, hits, scored)


def _add(block: MeasuredBlock, users: EvalUsers, plan: MeasurePlan, result: Measured) -> None:
    rows, lists, scored = block.rows, block.lists, block.scored
    result.values[rows] = block.values
    if len(result.sampled):
        places = np.searchsorted(result.sampled, rows)
        within = np.take(result.sampled, places, mode="clip") == rows
        result.lists[places[within], : lists.shape[1]] = lists[within]
    with result.lock:
        for k, counter in result.recommended.items():
            cut = lists[:, :k]
            np.add.at(counter, cut[cut > 0], 1)
        interests, vectors = scored.interests, scored.vectors
        if interests is not None and vectors is not None and interests.shape[1] > 1 and plan.wants(SHARES):
            if result.interest_use is None:
                result.interest_use = InterestUse(len(users), interests.shape[1], plan.ks)
            result.interest_use.add(rows, ranking.sources(interests, vectors, lists), lists, block.hits)
