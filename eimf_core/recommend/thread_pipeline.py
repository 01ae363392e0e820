"""Work on a stream in several threads, answers in order, none held back while input is waited for.

One thread reads ahead, `workers` threads answer (numpy and onnxruntime let go of the interpreter), the
caller gets each answer as soon as it is its turn.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from eimf_core import threads

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Parts that are read before they are worked on."""
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
    read: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(AHEAD)
    over = threading.Event()

    def put(part: T | None, problem: BaseException | None) -> None:
        while not over.is_set():
            try:
                read.put((part, problem), timeout=PAUSE)
                return
            except queue.Full:
                continue

    def reader() -> None:
        problem = None
        try:
            for part in parts:
                put(part, None)
                if over.is_set():
                    return
        except BaseException as error:
            problem = error
        put(None, problem)

    # the thread may hang in a read when the caller ends early, and must not keep the process
    threading.Thread(target=reader, daemon=True).start()
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(number)
    with threads.side_by_side():
        try:
            while True:
                try:
                    part, problem = read.get(block=not waiting)
                except queue.Empty:
                    yield waiting.popleft().result()
                    continue
                if part is None:
                    break
                waiting.append(pool.submit(work, part))
                if len(waiting) > number:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            if problem is not None:
                raise problem
        finally:
            over.set()
            # not waited for: after Ctrl-C what they work on may take long
            pool.shutdown(wait=False, cancel_futures=True)
