"""Work on a stream in several threads, answers in order, none held back while input is waited for.

One thread reads ahead, `workers` threads answer (numpy and onnxruntime let go of the interpreter), the
caller gets each answer as soon as it is its turn.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from eimf_core import threads

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Parts that are read, or answered before their turn, beside those that are worked on."""
PAUSE = 0.2


def ordered(parts: Iterator[T], work: Callable[[T], R], number: int) -> Iterator[R]:
    """Work on parts in threads, in order.

    Args:
        parts: are read ahead; an exception of theirs comes after what stands before it.
        work: on each part.
        number: of threads.

    Yields:
        What `work` gives for each part.
    """
    given: queue.SimpleQueue[Future[R] | None] = queue.SimpleQueue()
    room, over = threading.Semaphore(number + AHEAD), threading.Event()
    problems: list[BaseException] = []
    pool = ThreadPoolExecutor(number)

    def reader() -> None:
        try:
            for part in parts:
                while not room.acquire(timeout=PAUSE):
                    if over.is_set():
                        return
                if over.is_set():
                    return
                # handed on here, so that no thread waits for the caller to come back
                given.put(pool.submit(work, part))
        except BaseException as error:
            problems.append(error)
        given.put(None)

    # the thread may hang in a read when the caller ends early, and must not keep the process
    threading.Thread(target=reader, daemon=True).start()
    with threads.side_by_side():
        try:
            while (answer := given.get()) is not None:
                yield answer.result()
                room.release()
            if problems:
                raise problems[0]
        finally:
            over.set()
            # not waited for: after Ctrl-C what they work on may take long
            pool.shutdown(wait=False, cancel_futures=True)
