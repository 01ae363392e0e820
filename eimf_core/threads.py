"""How many threads a step takes when it is not told."""

from __future__ import annotations

import os


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def from_environment() -> int | None:
    """What OMP_NUM_THREADS says; None where it is not set or not a positive number."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) > 0 else None


def default(most: int | None = None) -> int:
    """OMP_NUM_THREADS, without it the processors at hand; not more than `most`."""
    number = from_environment() or cores()
    return number if most is None else min(most, number)
