"""How large steps are as training goes on: what the learning rate is multiplied with.

    constant   1
    linear     min(1, t / W) * max(FLOOR, 1 - share), down to nothing at the planned end
    plateau    min(1, t / W) * 2^-n, after n measured epochs that were not better than all before

with t epochs done (1.5: half of the second), a warm-up of W epochs (0 for none), and `share` of the
planned epochs or of the time limit that is used up, whichever is further.
"""

from __future__ import annotations

FLOOR = 0.01


def pace(kind: str, *, epochs: float, warm_up: float, share: float, waits: int) -> float:
    """The factor; `waits`: measured epochs so far that brought nothing better."""
    risen = min(1.0, (epochs + 0.01) / warm_up) if warm_up else 1.0
    if kind == "linear":
        return risen * max(FLOOR, 1.0 - share)
    if kind == "plateau":
        return risen * max(FLOOR, 0.5**waits)
    return risen
