"""How much the graph of next items counts in the score, chosen on the validation users.

A best list of the sum holds only items from the best list of the vectors and neighbours of the last items, so that
for each user these few are kept and weighed against each other for every weight, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.artifact import Contents
from eimf_core.dataset import Dataset
from eimf_core.evaluation.eval_users import EvalUsers
from eimf_core.evaluation.metrics.accuracy import ndcg
from eimf_core.evaluation.scorers import System
from eimf_core.next_items import Floats, NextItems, NextItemsConfig
from eimf_core.progress import SILENT, Reporter
from eimf_core.training import next_item_graph

K = 10
LAST, DECAY = 5, 0.7
WEIGHTS = tuple(2.0**power for power in range(-4, 6))
"""Weights that are tried; with 1 the best neighbour gains what the best candidate lies above the mean of all."""
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """The graph that was chosen, None where none is better than none; NDCG@10 without and with it."""

    graph: NextItems | None
    without: float
    ndcg: float

    @property
    def described(self) -> str:
        """What was chosen, in words."""
        if self.graph is None:
            return f"next items counted in histories add nothing (validation NDCG@10 {self.without:.4f})"
        return (
            f"next items counted in histories add to the score: validation NDCG@10 {self.ndcg:.4f}, "
            f"{self.without:.4f} without"
        )


def added(contents: Contents, graph: NextItems | None) -> Contents:
    """What a model directory is to hold, with this graph or with none."""
    config = msgspec.structs.replace(contents.config, next_items=None if graph is None else graph.config)
    return replace(contents, config=config, next_items=None if graph is None else dict(graph.arrays))


def choose(
    system: System, users: EvalUsers, blocks: Sequence[Rows], data: Dataset, reporter: Reporter = SILENT
) -> Chosen:
    """Count what follows items and what stands beside them, and choose the graph and weight with the best NDCG@10.

    Args:
        system: scores items by their vectors.
        users: of the validation split.
        blocks: rows of `users` that are scored together.
        data: its training histories are counted.
        reporter: hears of progress and of what was chosen.
    """
    reporter.begin("counting next items")
    best = Chosen(None, 0.0, 0.0)
    for backward in (0.0, 1.0):
        arrays = next_item_graph.count(data.splits["train"], len(data.items), backward=backward)
        config = NextItemsConfig(weight=1.0, decay=DECAY, last=LAST, backward=backward)
        tables = [_table(system, users, rows, NextItems(arrays, config)) for rows in blocks]
        if best.graph is None:
            without = _mean(tables, 0.0)
            best = Chosen(None, without, without)
        unit = _unit(tables)
        for factor in WEIGHTS:
            weight = float(f"{factor * unit:.4g}")
            found = _mean(tables, weight)
            if found > best.ndcg:
                graph = NextItems(arrays, msgspec.structs.replace(config, weight=weight))
                best = Chosen(graph, best.without, found)
    reporter.end()
    reporter.note(best.described)
    return best


@dataclass(frozen=True)
class _Table:
    """Items of some users that a best list may hold, (B, M): vector scores, -inf behind the end of a row, what the
    graph adds at weight 1, and whether each is a target; how many targets there are (B,)."""

    vectors: Floats
    graph: Floats
    hits: npt.NDArray[np.bool_]
    wanted: Rows

    def ndcg(self, weight: float) -> npt.NDArray[np.float64]:
        """NDCG@10 of each user, (B,)."""
        scores = self.vectors + np.float32(weight) * self.graph
        listed = np.arange(scores.shape[1])[None]
        if scores.shape[1] > K:
            listed = np.sort(np.argpartition(-scores, K, axis=1)[:, :K], axis=1)
        order = np.argsort(-np.take_along_axis(scores, listed, axis=1), axis=1, kind="stable")
        listed = np.take_along_axis(np.broadcast_to(listed, order.shape), order, axis=1)
        values: npt.NDArray[np.float64] = ndcg(np.take_along_axis(self.hits, listed, axis=1), self.wanted, K)
        return values


def _table(system: System, users: EvalUsers, rows: Rows, graph: NextItems) -> _Table:
    histories = [users.history(row) for row in rows.tolist()]
    scores = system.score(histories, users.times(rows.tolist()), users.events(rows.tolist())).values
    ranking.drop(scores, histories)
    added = np.zeros_like(scores)
    graph.add(added, histories)
    owners, targets = users.targets_of(rows)
    hits = np.zeros(scores.shape, dtype=np.bool_)
    hits[owners, targets] = True
    kept = added > 0
    np.put_along_axis(kept, ranking.top_k(scores, K), True, axis=1)
    # rising in each row, so that ties go to the smaller index here too
    users_kept, columns = np.nonzero(kept)
    sizes = np.bincount(users_kept, minlength=len(rows))
    places = np.arange(len(columns)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shape = (len(rows), int(sizes.max()))

    def filled(values: npt.NDArray[Any], nothing: Any) -> npt.NDArray[Any]:
        made = np.full(shape, nothing, dtype=values.dtype)
        made[users_kept, places] = values[users_kept, columns]
        return made

    wanted = np.bincount(owners, minlength=len(rows))
    return _Table(filled(scores, -np.inf), filled(added, 0), filled(hits, False), np.maximum(wanted, 1))


def _mean(tables: Sequence[_Table], weight: float) -> float:
    return float(np.concatenate([table.ndcg(weight) for table in tables]).mean())


def _unit(tables: Sequence[_Table]) -> float:
    """The weight with which the best neighbour of a user gains what his best candidate's vector score lies above the
    mean of all, on average."""
    spread, added = [], []
    for table in tables:
        # columns behind the end of a row hold nothing
        there = np.isfinite(table.vectors)
        number = np.maximum(there.sum(axis=1), 1)
        mean = np.where(there, table.vectors, 0).sum(axis=1) / number
        spread.append(np.where(there, table.vectors, mean[:, None]).max(axis=1) - mean)
        added.append(table.graph.max(axis=1))
    most = float(np.concatenate(added).mean())
    return float(np.concatenate(spread).mean()) / most if most > 0 else 0.0
