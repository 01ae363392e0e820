"""Work on a stream in several processes, answers in order: threads share an interpreter, and two of them keep a
processor and a half busy.

The processes are copies of this one, made once a stream has shown that it is long, and share the memory of the opened
model. Where a system cannot copy processes, or one of them ends, threads do the work.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing import connection
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from eimf_core import threads
from eimf_core.recommend import thread_pipeline

P = TypeVar("P")
R = TypeVar("R")
ALONE = 0.1
"""Seconds of work before processes are started, which takes a tenth as long."""


def ordered(parts: Iterator[P], work: Callable[[P], R], number: int) -> Iterator[R]:
    """Work on parts in processes, in order, none held back while input is waited for.

    Args:
        parts: are read in this process.
        work: on each part. It is copied with all that it uses; parts, results and exceptions are sent to and fro.
        number: of processes.

    Yields:
        What `work` gives for each part.
    """
    if number > 1 and sys.platform == "linux":
        spent = 0.0
        with threads.side_by_side():
            for part in parts:
                began = time.perf_counter()
                answer = work(part)
                spent += time.perf_counter() - began
                yield answer
                if spent >= ALONE:
                    break
            else:
                return
        with AnswerProcesses(work, number) as processes:
            yield from thread_pipeline.ordered(parts, processes.work, number)
    else:
        yield from thread_pipeline.ordered(parts, work, number)


class AnswerProcesses:
    """Copies of this process that work on what they are sent."""

    def __init__(self, work: Callable[[Any], Any], number: int) -> None:
        self._here, self._number = work, number
        self._free: queue.SimpleQueue[connection.Connection | None] = queue.SimpleQueue()
        self._connections: list[connection.Connection] = []
        self._processes: list[int] = []

    def __enter__(self) -> AnswerProcesses:
        # what is there is not looked through, which would copy it for each process
        gc.collect()
        gc.freeze()
        for _ in range(self._number):
            # without room for a further process the work is done here
            with contextlib.suppress(OSError):
                self._start()
        for place in range(self._number):
            self._free.put(self._connections[place] if place < len(self._connections) else None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for other in self._connections:
            other.close()
        for process in self._processes:
            if kind is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, 0)
        gc.unfreeze()

    def work(self, part: Any) -> Any:
        """Work on a part in a process that is free; several threads may call this."""
        free = self._free.get()
        if free is not None:
            try:
                free.send(part)
                done, result = free.recv()
            except (EOFError, OSError):
                free = None  # it has ended, of memory maybe
            else:
                self._free.put(free)
                if done:
                    return result
                raise result
        try:
            return self._here(part)
        finally:
            self._free.put(None)

    def _start(self) -> None:
        ours, theirs = connection.Pipe()
        with warnings.catch_warnings():
            # of other threads, none of whose locks are used by the copy
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process == 0:
            for other in (*self._connections, ours):
                other.close()
            _answer_and_exit(self._here, theirs)
        theirs.close()
        self._connections.append(ours)
        self._processes.append(process)


def _answer_and_exit(work: Callable[[Any], Any], parts: connection.Connection) -> NoReturn:
    """In a copy: work until there are no parts any more, and no step of what the first process would do after it."""
    code = 1
    try:
        # Ctrl-C reaches all processes; the first one ends the others
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with threads.side_by_side(), contextlib.suppress(EOFError, OSError):
            while True:
                parts.send(_done(work, parts.recv()))
        code = 0
    finally:
        os._exit(code)


def _done(work: Callable[[Any], Any], part: Any) -> tuple[bool, Any]:
    try:
        return True, work(part)
    except Exception as error:
        return False, error
