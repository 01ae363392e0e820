"""How many threads a step takes when it is not told, and what lets several compute side by side.

The rules differ, since the steps do: `for_…` below is the rule of each, with its reason.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from eimf_core.config import MAX_THREADS

AT_MOST = 8
"""Threads that a step takes by itself where more bring little, or cost memory each."""
SWITCH = 0.0005
"""Seconds after which a thread that computes lets another one in."""


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def from_environment() -> int | None:
    """What OMP_NUM_THREADS says, at most `MAX_THREADS`; None where it is not set or not a positive number."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(told), MAX_THREADS) if told.isdecimal() and told.isascii() and int(told) > 0 else None


def default(most: int | None = None) -> int:
    """OMP_NUM_THREADS, without it the processors at hand; not more than `most`."""
    number = from_environment() or cores()
    return number if most is None else min(most, number)


def for_reading() -> int:
    """`prepare`: processors, few, since each thread of DuckDB holds rows; OpenMP's variable is none of DuckDB's."""
    return min(AT_MOST, cores())


def for_training() -> int:
    """`train`: half the processors, few, since a training takes long and the machine may have others to serve."""
    return from_environment() or min(AT_MOST, max(1, cores() // 2))


def for_measuring() -> int:
    """`eval`: all processors, never more, since its threads compute all the time."""
    return default(cores())


def for_answers() -> int:
    """`recommend`, and the processes of `serve`: few, since each holds a batch of scores over all items."""
    return default(AT_MOST)


def for_language_model() -> int:
    """`label` with llama.cpp: all processors, never more, since its threads wait for each other, spinning."""
    return default(cores())


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
