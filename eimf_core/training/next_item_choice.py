"""How much the graph of next items counts in the score, and items of like texts in it, chosen on the validation users.

A best list of the sum holds only items from the best list of the vectors and neighbours of the last items, so that
for each user these few are kept and weighed against each other for every weight, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from eimf_core.dataset import Dataset
from eimf_core.evaluation.eval_users import EvalUsers
from eimf_core.evaluation.scorers import System
from eimf_core.model_directory.artifact import Contents
from eimf_core.model_directory.next_items import NextItems, NextItemsConfig
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Arrays, Ints
from eimf_core.progress import SILENT, Reporter
from eimf_core.training import candidates, next_item_graph
from eimf_core.training.candidates import NEVER, CandidateBlock, K

LAST, DECAY = 5, 0.7
WEIGHTS = tuple(2.0**power for power in range(-4, 6))
"""Weights that are tried; with 1 the best neighbour gains what the best candidate lies above the mean of all."""
ERRORS = 1.5
"""How many standard errors texts have to gain."""
ROUNDS = 2
"""How often both weights are chosen, one after the other."""


@dataclass(frozen=True)
class ChosenGraph:
    """The graph that was chosen, None where none is better than none; NDCG@10 without and with it."""

    graph: NextItems | None
    without: float
    ndcg: float

    @property
    def described(self) -> str:
        """What was chosen, in words."""
        if self.graph is None:
            return f"next items counted in histories add nothing (validation NDCG@10 {self.without:.4f})"
        texts = " and items of like texts" if self.graph.config.text else ""
        return (
            f"next items counted in histories{texts} add to the score: validation NDCG@10 {self.ndcg:.4f}, "
            f"{self.without:.4f} without"
        )


def added(contents: Contents, graph: NextItems | None) -> Contents:
    """What a model directory is to hold, with this graph or with none."""
    config = msgspec.structs.replace(contents.config, next_items=None if graph is None else graph.config)
    return replace(contents, config=config, next_items=None if graph is None else dict(graph.arrays))


def choose(
    system: System, users: EvalUsers, blocks: Sequence[Ints], data: Dataset, reporter: Reporter = SILENT, *,
    texts: Arrays | None = None,
) -> ChosenGraph:  # fmt: skip
    """Count what follows items and what stands beside them, and choose the graph and weights with the best NDCG@10.

    Args:
        system: scores items by their vectors.
        users: of the validation split.
        blocks: rows of `users` that are scored together.
        data: its training histories are counted.
        reporter: hears of progress and of what was chosen.
        texts: the graph of items of like texts (`text_neighbours.count`), None for none.

    Returns:
        The graph, None where none is better than that, and NDCG@10 without and with it.
    """
    reporter.begin("counting next items")
    best, other = (_of_sides(backward, system, users, blocks, data, texts) for backward in (0.0, 1.0))
    if other.ndcg > best.ndcg:
        best = other
    reporter.end()
    reporter.note(best.described)
    return best


def _of_sides(
    backward: float, system: System, users: EvalUsers, blocks: Sequence[Ints], data: Dataset, texts: Arrays | None
) -> ChosenGraph:
    """The best graph of those that count neighbours on one side (`backward` 0) or on both (1)."""
    arrays = next_item_graph.count(data.splits["train"], len(data.items), backward=backward)
    config = NextItemsConfig(weight=1.0, decay=DECAY, last=LAST, backward=backward)
    parts = [NextItems(part, config) for part in (arrays, texts) if part is not None]
    found = [_block(system, users, rows, parts) for rows in blocks]
    without = candidates.mean_ndcg(found, np.array([1.0, *[0.0] * len(parts)]))
    best = ChosenGraph(None, without, without)
    for weight, text, ndcg in _weights(found):
        if ndcg > best.ndcg:
            made = msgspec.structs.replace(config, weight=weight, text=text)
            best = ChosenGraph(next_item_graph.with_texts(arrays, texts, made), without, ndcg)
    return best


def _weights(blocks: Sequence[CandidateBlock]) -> list[tuple[float, float, float]]:
    """The best weight of next items without and with items of like texts: it, what a value by text counts beside one
    by histories, and the NDCG@10."""
    steps = [float(f"{factor * _weight_unit(blocks, 1):.4g}") for factor in WEIGHTS]
    none = [0.0] * (len(blocks[0].scores) - 2)
    alone, ndcg = _best(blocks, [[1.0, weight, *none] for weight in steps])
    found = [(alone[1], 0.0, ndcg)]
    if none and alone[1]:
        shares = [factor * _weight_unit(blocks, 2) / alone[1] for factor in WEIGHTS]
        share, both = 0.0, alone
        for _ in range(ROUNDS):
            both, _ = _best(blocks, [[1.0, both[1], other * both[1]] for other in shares])
            share = both[2] / both[1]
            both, ndcg = _best(blocks, [[1.0, weight, share * weight] for weight in steps])
        gains = candidates.ndcg(blocks, np.array(both)) - candidates.ndcg(blocks, np.array(alone))
        # one more choice on the same users finds a gain by chance, of which few are this large
        if gains.mean() > ERRORS * gains.std() / np.sqrt(len(gains)):
            found.append((both[1], share, ndcg))
    return found


def _best(blocks: Sequence[CandidateBlock], weights: Sequence[list[float]]) -> tuple[list[float], float]:
    """The weights with the best NDCG@10, the first of equals, and that NDCG@10."""
    measured = [candidates.mean_ndcg(blocks, np.array(each)) for each in weights]
    at = int(np.argmax(measured))
    return weights[at], measured[at]


def _block(system: System, users: EvalUsers, rows: Ints, graphs: Sequence[NextItems]) -> CandidateBlock:
    """Items of some users that a best list may hold, with their vector scores and what each graph adds at weight 1."""
    histories = [users.history(row) for row in rows.tolist()]
    scores = system.score(histories, users.times(rows.tolist()), users.events(rows.tolist())).values
    ranking.drop(scores, histories)
    parts, kept = [scores], np.zeros(scores.shape, dtype=np.bool_)
    for graph in graphs:
        added = np.zeros_like(scores)
        graph.add(added, histories)
        kept |= added > 0
        parts.append(added)
    np.put_along_axis(kept, ranking.top_k(scores, K), True, axis=1)
    return candidates.block(parts, kept, *users.targets_of(rows))


def _weight_unit(blocks: Sequence[CandidateBlock], part: int) -> float:
    """The weight with which the best neighbour of a user by that part of the scores gains what his best candidate's
    vector score lies above the mean of all, on average."""
    spread, added = [], []
    for block in blocks:
        vectors, graph = block.scores[0], block.scores[part]
        # what is no item or was seen has no score
        there = vectors > NEVER
        number = np.maximum(there.sum(axis=1), 1)
        mean = np.where(there, vectors, 0).sum(axis=1) / number
        spread.append(np.where(there, vectors, mean[:, None]).max(axis=1) - mean)
        added.append(graph.max(axis=1))
    most = float(np.concatenate(added).mean())
    return float(np.concatenate(spread).mean()) / most if most > 0 else 0.0
