"""How many threads a step takes when it is not told, and what lets several compute side by side."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from eimf_core.config import MOST_THREADS

SWITCH = 0.0005
"""Seconds after which a thread that computes lets another one in."""


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def from_environment() -> int | None:
    """What OMP_NUM_THREADS says, at most `MOST_THREADS`; None where it is not set or not a positive number."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(told), MOST_THREADS) if told.isdecimal() and told.isascii() and int(told) > 0 else None


def default(most: int | None = None) -> int:
    """OMP_NUM_THREADS, without it the processors at hand; not more than `most`."""
    number = from_environment() or cores()
    return number if most is None else min(most, number)


@contextlib.contextmanager
def side_by_side() -> Iterator[None]:
    """In the block several threads call NumPy and onnxruntime, which let go of the interpreter.

    Each product then takes one thread. After each a thread asks for the interpreter again: at the usual 5 ms it would
    wait longer than it worked.
    """
    from threadpoolctl import threadpool_limits

    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        sys.setswitchinterval(interval)
