"""What was measured of a system, of a baseline, or of several seeds as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation.measure import Measured
from eimf_core.evaluation.metrics.aggregate_metrics import AggregateValue
from eimf_core.evaluation.metrics.interest_metrics import InterestUse
from eimf_core.numeric.arrays import Floats

Role = Literal["model", "baseline", "group", "member"]


@dataclass
class SystemResult:
    """A line of the table: a model, a baseline, or a group of models that differ in their seed.

    `values` (U, C) are those of the plan's columns. `role` is "model", "baseline", "group", or "member"
    for a model that stands in a group and is not compared by itself. `members` are the places of a
    group's models among the results. `recommended[k]` (N + 1,) counts how often each item was listed, in a
    group by all of its models.
    """

    name: str
    role: Role
    values: Floats
    aggregates: dict[int, list[dict[str, AggregateValue]]]
    recommended: dict[int, npt.NDArray[np.int64]]
    interest_use: InterestUse | None = None
    seed: int | None = None
    group: str | None = None
    seeds: int | None = None
    members: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, measured: Measured, role: Role, *, seed: int | None = None) -> SystemResult:
        """The result of a system that was measured.

        Args:
            measured: its values.
            role: what it is in the evaluation.
            seed: that its model was trained with, if it is known.

        Returns:
            The result.
        """
        return cls(
            name=measured.system,
            role=role,
            values=measured.values,
            aggregates={k: [measured.aggregates(k)] for k in measured.recommended},
            recommended=measured.recommended,
            interest_use=measured.interest_use,
            seed=seed,
        )
