"""Ctrl-C and other signals: put off until a piece of work is whole, and heard during long calls of compiled code."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)
R = TypeVar("R")
Handler = Callable[[int, FrameType | None], Any]


def current_handlers() -> dict[signal.Signals, Handler]:
    """The handlers of `SIGNALS` that are not ignored; none in other threads than the main one."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in SIGNALS}
    return {number: handler for number, handler in found.items() if callable(handler)}


@contextlib.contextmanager
def handled_by(handler: Handler, before: dict[signal.Signals, Handler]) -> Iterator[None]:
    """In the block `handler` gets the signals of the handlers `before`."""
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Signals take effect at the end of the block, the first of several."""
    arrived: list[int] = []
    try:
        with handled_by(lambda number, _: arrived.append(number), current_handlers()):
            yield
    finally:
        for number in arrived[:1]:
            signal.raise_signal(number)


def interruptible(work: Callable[[], R]) -> R:
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
