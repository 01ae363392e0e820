"""Several processes that answer at one port: one interpreter keeps little more than one processor busy.

The model is opened before they part, so that they share its memory. Each has a socket of its own at the port, and Linux
deals new connections out among these; elsewhere they take them from one socket. The first process answers nothing: it
starts another one where one ends, and passes on that the service is to end. It takes each model that replaces another
one, as the others do: what starts later has the latest that could be opened, whatever the directory holds by then.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from eimf_core.errors import EimfError
from eimf_core.progress import Reporter
from eimf_core.serving.shared_figures import SharedFigures

POLL = 0.1
"""Seconds between two looks at the processes."""
HANGS = 60.0
"""Seconds in which a process tells its figures, or has opened a model when it starts; after them it is ended."""
SOON, MAX_SOON = 5.0, 5
"""Seconds after which a process has started well, and how many in a row may end sooner."""
Work = Callable[[int], None]


class WorkerProcesses:
    """The processes of a service; `should_exit` ends them, as it ends a server of uvicorn."""

    def __init__(
        self, number: int, work: Work, figures: SharedFigures, reporter: Reporter, path: Path, *, patience: float,
        release: Callable[[], None], follow: Callable[[], None],
    ) -> None:  # fmt: skip
        """`work`: what the process of a number does until SIGTERM. `patience`: seconds that the end waits for them.
        `release` closes the sockets of the first process; `follow` is called again and again in it, so that processes
        to come start from what is there now."""
        self._work, self._figures, self._reporter, self._path = work, figures, reporter, path
        self._patience, self._release, self._follow = patience, release, follow
        self.should_exit = False
        self._started: dict[int, float] = {}
        self._processes = [0] * number
        self._soon = 0
        self._without_room = False

    def run(self, ready: Callable[[], None]) -> None:
        """Keep the processes until the end.

        Args:
            ready: is called once all of them answer.

        Raises:
            EimfError: processes end as soon as they start.
        """
        # what is there is not looked through, which would copy it for each process
        gc.collect()
        gc.freeze()
        try:
            for place in range(len(self._processes)):
                self._start(place)
            told = False
            while not self.should_exit:
                if not told and all(map(self._figures.read, range(len(self._processes)))):
                    told = True
                    ready()
                time.sleep(POLL)
                self._end_hanging()
                self._restart_ended()
                self._follow()
        finally:
            self._end()

    def _start(self, place: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._figures.begin(place)
        process = os.fork()
        if process == 0:
            _work_and_exit(self._work, place, self._reporter)
        self._processes[place], self._started[place] = process, time.monotonic()

    def _restart_ended(self) -> None:
        for place, process in enumerate(self._processes):
            if not process:
                self._start_again(place)
                continue
            ended, status = os.waitpid(process, os.WNOHANG)
            if not ended or self.should_exit:
                continue
            self._processes[place] = 0
            lived = time.monotonic() - self._started[place]
            self._soon = self._soon + 1 if lived < SOON else 0
            if self._soon == MAX_SOON:
                raise EimfError(f"{self._path}: {MAX_SOON} processes of the service ended as soon as they started")
            self._reporter.warn(f"a process of the service ended ({_reason(status)}); another one takes its place")
            self._start_again(place)

    def _start_again(self, place: int) -> None:
        try:
            self._start(place)
        except OSError as error:
            # there may be room for it later
            if not self._without_room:
                self._reporter.warn(f"the system starts no further process ({error.strerror}); it is asked again")
            self._without_room = True
        else:
            self._without_room = False

    def _end_hanging(self) -> None:
        for place, process in enumerate(self._processes):
            if process and time.monotonic() - self._figures.told(place) > HANGS:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def _end(self) -> None:
        # new clients are refused, not left without an answer
        self._release()
        waiting = list(filter(None, self._processes))
        began = time.monotonic()
        while waiting:
            # again and again, since one that has just been started does not hear it yet
            number = signal.SIGTERM if time.monotonic() - began < self._patience else signal.SIGKILL
            for process in waiting:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            time.sleep(POLL)
            waiting = [process for process in waiting if not _has_ended(process)]


def _work_and_exit(work: Work, place: int, reporter: Reporter) -> NoReturn:
    """In a new process: the work, and no step of what the first process would do after it."""
    code = 1
    try:
        work(place)
        code = 0
    except EimfError as error:
        reporter.warn(str(error))
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _has_ended(process: int) -> bool:
    try:
        return os.waitpid(process, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _reason(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
