"""The learning-rate schedule: what the learning rate is multiplied with as training goes on.

    constant   1
    linear     max(FLOOR, 1 - share), down to nothing at the planned end

with `share` of the planned epochs or of the time limit that is used up, whichever is further.
"""

from __future__ import annotations

FLOOR = 0.01


def factor(schedule: str, share: float) -> float:
    """What the configured learning rate is multiplied with.

    Args:
        schedule: "constant" or "linear".
        share: how much of the run is done, from 0 to 1.
    """
    return max(FLOOR, 1.0 - share) if schedule == "linear" else 1.0
