"""What each member of an ensemble weighs: chosen on the users of the validation split, by NDCG@10.

Scores of the members are computed once. Of each user the items count that any member ranks high, and the targets:
what no member ranks high has no place among the first ten of a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation.eval_users import EvalUsers
from eimf_core.evaluation.measure import block_size
from eimf_core.evaluation.scorers import System
from eimf_core.numeric import ranking
from eimf_core.progress import SILENT, Reporter
from eimf_core.training import candidates
from eimf_core.training.candidates import CandidateBlock, Weights

CANDIDATES = 300
"""Items of a user that count for each member, the best ones."""
USERS_AT_ONCE = 256
STEPS = (0.2, 0.1, 0.05, 0.02)
"""How far a weight is moved at a time, the coarsest first."""


@dataclass(frozen=True)
class MemberWeights:
    """Weights (M,) whose sum is 1, the validation NDCG@10 of the ensemble, and those of the members (M,)."""

    weights: Weights
    ndcg: float
    members: Weights


def choose(blocks: Sequence[CandidateBlock]) -> MemberWeights:
    """The weights with the best mean NDCG@10, by these scores never worse than that of the best member alone."""
    count = len(blocks[0].scores)

    def measure(weights: Weights) -> float:
        return candidates.mean_ndcg(blocks, weights)

    alone = np.array([measure(weights) for weights in np.eye(count)])
    weights, ndcg = ascend(measure, [*np.eye(count), np.full(count, 1.0 / count)])
    return MemberWeights(weights, ndcg, alone)


def ascend(measure: Callable[[Weights], float], starts: Sequence[Weights]) -> tuple[Weights, float]:
    """The best weights that are found from these starts, one weight moved at a time, and their measure.

    Args:
        measure: of weights (M,) with the sum 1, the larger the better.
        starts: weights (M,); the result is at least as good as the best of them.
    """
    found = [_ascend(measure, start) for start in starts]
    return max(found, key=lambda each: each[1])


def _ascend(measure: Callable[[Weights], float], weights: Weights) -> tuple[Weights, float]:
    best = measure(weights)
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for number in range(len(weights)):
                for change in (step, -step):
                    tried = weights.copy()
                    tried[number] = min(1.0, max(0.0, round(tried[number] + change, 6)))
                    total = tried.sum() - tried[number]
                    if total > 0:
                        others = np.arange(len(tried)) != number
                        tried[others] *= (1.0 - tried[number]) / total
                    elif tried[number] < 1.0:
                        continue
                    value = measure(tried)
                    if value > best:
                        weights, best, moved = tried, value, True
    return weights, best


def blocks(
    systems: Sequence[System], users: EvalUsers, rows: npt.NDArray[np.int64], width: int, reporter: Reporter = SILENT
) -> list[CandidateBlock]:
    """The items that count for some users, with the scores of each member.

    Args:
        systems: the members.
        users: of the validation split; items of their histories are not listed.
        rows: of the users that are asked.
        width: N + 1, with N items in the catalogue.
        reporter: hears of progress.

    Returns:
        The users in blocks, with these items.
    """
    made = []
    reporter.begin("scores of the members", len(rows))
    for part in users.blocks(rows, block_size(width, USERS_AT_ONCE)):
        made.append(_block(systems, users, part, width))
        reporter.advance(len(part))
    reporter.end()
    return made


def _block(systems: Sequence[System], users: EvalUsers, rows: npt.NDArray[np.int64], width: int) -> CandidateBlock:
    histories = [users.history(row) for row in rows.tolist()]
    times, events = users.times(rows.tolist()), users.events(rows.tolist())
    owners, targets = users.targets_of(rows)
    scores, kept = [], np.zeros((len(rows), width), dtype=np.bool_)
    kept[owners, targets] = True
    for system in systems:
        values = system.score(histories, times, events).values
        ranking.drop(values, histories)
        np.put_along_axis(kept, ranking.top_k(values, CANDIDATES), True, axis=1)
        scores.append(values)
    return candidates.block(scores, kept, owners, targets)
