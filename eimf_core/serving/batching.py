"""Queries that arrive together are answered together, by a thread beside the one of the event loop.

It takes what waits, up to a batch, and waits for nothing more: at low load a query is answered alone and at once, at
high load many share one product with the item table. A second thread would wait for the same interpreter: further
processors are for further processes (`workers`).
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from eimf_core.errors import EimfError
from eimf_core.recommend.query.query_resolution import ResolvedQuery
from eimf_core.recommend.session import Session
from eimf_core.records import Query
from eimf_core.serving.metrics import Metrics

MAX_BATCH = 64
"""Queries of a batch: more gain little, and those behind them wait longer."""
CHUNK = 16
"""Queries of a list that wait at once, so that a long list leaves room for single queries."""
MAX_WAITING = 2000
"""Queries that wait: about a second's work, and those behind them are better asked again later."""
AnswerLine = bytes | EimfError


class OverloadedError(Exception):
    """More queries wait than are answered in time."""


class UnexpectedError(EimfError):
    """Something that should not happen. The message names its type alone, `place` the line of code where it came up."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"unexpected {type(error).__name__}")
        last = traceback.extract_tb(error.__traceback__)[-1]
        self.place = f"{last.filename}:{last.lineno}"


@dataclass(eq=False, slots=True)
class PendingWork:
    """Queries for one model, or another question to it, and where the answers go."""

    session: Session
    future: asyncio.Future[list[AnswerLine]]
    queries: Sequence[Query] = ()
    ask: Callable[[Session], bytes] | None = None

    @property
    def size(self) -> int:
        return max(1, len(self.queries))


@dataclass(slots=True)
class WorkQueue:
    """Works that wait, the oldest first, and how many queries they have."""

    works: deque[PendingWork] = field(default_factory=deque)
    queries: int = 0


class Batcher:
    """The thread that answers, and what waits for it."""

    def __init__(self, timeout: float, metrics: Metrics) -> None:
        self._timeout, self._metrics = timeout, metrics
        self._queue = WorkQueue()
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="eimf answers", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        """Queries that wait."""
        return self._queue.queries

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; answers go to futures of this loop."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """End the thread when what it works on is done."""
        with self._changed:
            self._over = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(self._timeout)

    async def answers(self, session: Session, queries: Sequence[Query]) -> list[AnswerLine]:
        """The answer to each query, as a line of JSON, or what is wrong with it.

        Raises:
            OverloadedError: now, or so many that the answer was not made in time.
        """
        if len(queries) <= CHUNK:
            return await self._answered(session, queries, None)
        made: list[AnswerLine] = []
        for start in range(0, len(queries), CHUNK):
            made += await self._answered(session, queries[start : start + CHUNK], None)
        return made

    async def answer(self, session: Session, ask: Callable[[Session], bytes]) -> AnswerLine:
        """The answer to another question; raises as `answers`."""
        return (await self._answered(session, (), ask))[0]

    async def _answered(
        self, session: Session, queries: Sequence[Query], ask: Callable[[Session], bytes] | None
    ) -> list[AnswerLine]:
        assert self._loop is not None
        work = PendingWork(session, self._loop.create_future(), queries, ask)
        if self._queue.queries + work.size > MAX_WAITING:
            raise OverloadedError
        with self._changed:
            self._queue.works.append(work)
            self._queue.queries += work.size
            self._changed.notify()
        timer = self._loop.call_later(self._timeout, work.future.cancel)
        try:
            return await work.future
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise OverloadedError from None
        finally:
            timer.cancel()

    def _run(self) -> None:
        while works := self._take():
            answers = answered(works)
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._deliver, works, answers)
            except RuntimeError:  # the loop has ended
                return

    def _take(self) -> list[PendingWork]:
        """What waits, up to a batch of one model; nothing at the end."""
        taken: list[PendingWork] = []
        size = 0
        with self._changed:
            while not taken:
                while not self._queue.queries:
                    if self._over:
                        return []
                    self._changed.wait()
                waiting = self._queue.works
                while waiting and size < MAX_BATCH and (not taken or waiting[0].session is taken[0].session):
                    work = waiting.popleft()
                    self._queue.queries -= work.size
                    # nobody waits for one whose time is over, or whose client has gone
                    if not work.future.done():
                        taken.append(work)
                        size += work.size
        return taken

    def _deliver(self, works: Sequence[PendingWork], answers: Sequence[list[AnswerLine]]) -> None:
        self._metrics.batch(sum(work.size for work in works))
        for work, answer in zip(works, answers, strict=True):
            if not work.future.done():
                work.future.set_result(answer)


def answered(works: Sequence[PendingWork]) -> list[list[AnswerLine]]:
    """The answers to works for one model."""
    session = works[0].session
    entries = [[_resolved(session, query) for query in work.queries] for work in works]
    resolved = [entry for of in entries for entry in of if isinstance(entry, ResolvedQuery)]
    lines = iter(_lines(session, resolved))
    made: list[list[AnswerLine]] = []
    for work, of in zip(works, entries, strict=True):
        if work.ask is not None:
            made.append([_asked(session, work.ask)])
        else:
            made.append([next(lines) if isinstance(entry, ResolvedQuery) else entry for entry in of])
    return made


def _resolved(session: Session, query: Query) -> ResolvedQuery | EimfError:
    try:
        return session.resolver.resolve(query)
    except Exception as error:
        return _told(error)


def _lines(session: Session, queries: list[ResolvedQuery]) -> Sequence[AnswerLine]:
    try:
        return session.lines(queries) if queries else []
    except Exception as error:
        if len(queries) == 1:
            return [_told(error)]
        # one that fails keeps the others from nothing
        return [line for query in queries for line in _lines(session, [query])]


def _asked(session: Session, ask: Callable[[Session], bytes]) -> AnswerLine:
    try:
        return ask(session)
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> EimfError:
    """What stands in the place of an answer: whatever a query meets, the thread goes on with the others."""
    return error if isinstance(error, EimfError) else UnexpectedError(error)
