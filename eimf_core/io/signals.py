"""Signals deferred to the end of a piece of work that must not stop half way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
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
