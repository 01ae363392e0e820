"""Long calls of compiled code that Ctrl-C can leave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


def call(work: Callable[[], R]) -> R:
    """What `work` returns or raises.

    In the main thread it runs in another one, so that a signal is acted on while it is in compiled code; it is left
    alone then, and ends with the process. Other threads are waited for by the main one anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: list[R] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return results[0]
