"""Items that are recommended to nobody: how many by system, and which of them were learned from most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eimf_core.evaluation import result_tables
from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.report.sampled_users import titles
from eimf_core.evaluation.report.tables import Cell, PageTable, ordered

LISTED = 60


@dataclass(frozen=True)
class UnrecommendedItems:
    """`table`: a row for each system. `items` are title and training interactions of those that the model `model` lists
    for nobody, in lists of `k`; `places` is how many items all lists together could hold."""

    table: PageTable
    model: str
    k: int
    places: int
    items: list[tuple[str, int]]


def unrecommended_items(evaluation: Evaluation, model: str) -> UnrecommendedItems:
    """The items that the shortest lists that were measured do not hold.

    Args:
        evaluation: what was measured.
        model: name of the model whose items are named.
    """
    k = min(evaluation.plan.ks)
    called = result_tables.short_names(evaluation)
    counts = evaluation.dataset.counts()
    total = len(counts) - 1
    by_name = {result.name: result for result in evaluation.results}
    rows = []
    for name in ordered(evaluation):
        never = int((by_name[name].recommended[k][1:] == 0).sum())
        learned = int((by_name[name].recommended[k][1:][counts[1:] > 0] == 0).sum())
        kind = "quiet" if name in evaluation.baselines else "model"
        rows.append(
            [Cell(called[name], kind=kind), Cell(f"{never:,}"), Cell(f"{never / total:.0%}"), Cell(f"{learned:,}")]
        )
    listed = by_name[model].recommended[k]
    items = [int(item) for item in np.argsort(-counts, kind="stable") if item and not listed[item]][:LISTED]
    columns = ["", "items never recommended", "of all", "of those in training lines"]
    return UnrecommendedItems(
        PageTable("", columns, rows),
        called[model],
        k,
        k * len(evaluation.users),
        list(zip(titles(evaluation, items), counts[items].tolist(), strict=True)),
    )
