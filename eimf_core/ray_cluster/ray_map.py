"""Work on parts by many processes, on one machine or a cluster of Ray: in order, each part answered once.

`RayWorkers` starts a process of `ray_driver`, which alone has to do with Ray: what Ray prints, the signals that it
catches, and its way of ending a process whose cluster has gone stay there. Parts and answers pass through a pipe of
`multiprocessing` between these two processes alone. A worker that dies is replaced, and what it was working on is
given to another one. Files that workers read have to be at the same path on every machine.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from eimf_core.errors import WorkersError
from eimf_core.progress import SILENT, Reporter
from eimf_core.ray_cluster.ray_option import check_address
from eimf_core.threads import cores

AHEAD = 4
"""Parts for each slot of a worker that may be under way or wait for their turn."""
SHUTDOWN_TIMEOUT = 20.0
"""Seconds that Ray has to end before it is ended."""
KEPT = "what was finished is kept: run the same command again"


@dataclass(frozen=True)
class DriverSetup:
    """What a driver is started with.

    Attributes:
        address: "local", or where the head of a cluster listens.
        folder: for the files of a local cluster.
        make: called with `arguments` once in each worker; gives what answers a part.
        cpus: of one worker.
        gpus: likewise.
        slots: parts that one worker answers at a time.
        processes: workers of a local cluster.
    """

    address: str
    folder: str
    make: Callable[..., Callable[[Any], Any]]
    arguments: tuple[Any, ...]
    cpus: int
    gpus: int
    slots: int
    processes: int


class RayWorkers:
    """Processes that answer parts. Use it in a `with`: at the end, however that comes, all of them are gone."""

    def __init__(
        self,
        address: str,
        make: Callable[..., Callable[[Any], Any]],
        *arguments: Any,
        cpus: int = 1,
        gpus: int = 0,
        slots: int = 1,
        reporter: Reporter = SILENT,
    ) -> None:
        """Start the driver; workers come while parts are given.

        Args:
            address: what `check_address` lets pass.
            make: a function of a module; called with `arguments` once in each worker, it gives what answers a part.
                With several `slots` that is called by as many threads.
            arguments: plain data.
            cpus, gpus: what one worker takes; there are as many workers as the cluster has room for.
            slots: parts that one worker answers at a time.
            reporter: gets remarks.
        """
        check_address(address)
        self._address, self._reporter = address, reporter
        self._folder = tempfile.TemporaryDirectory(prefix="eimf-ray-", ignore_cleanup_errors=True)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        self._pipe, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-P", "-c",
                    f"from eimf_core.ray_cluster.ray_driver import main; main({theirs.fileno()})",
                ],
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=environment,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        processes = max(1, cores() // cpus)
        self._send(DriverSetup(address, self._folder.name, make, arguments, cpus, gpus, slots, processes))
        self.slots = 0

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Wait until it is known how many workers there will be; raises as `take`."""
        while not self.slots:
            self._receive()

    def submit(self, number: int, part: Any) -> None:
        """Give a part under a number of its own; returns at once."""
        self._send((number, part))

    def take(self) -> tuple[int, Any]:
        """Wait for the next answer, of any part, and give its number with it.

        Raises:
            EimfError: that the work raised.
            WorkersError: there are no workers, or no more.
        """
        while True:
            answer = self._receive()
            if answer is not None:
                return answer

    def _send(self, message: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # the driver has ended; take() finds out why
            self._pipe.send(message)

    def _receive(self) -> tuple[int, Any] | None:
        """One message of the driver; an answer if it is one."""
        try:
            kind, value = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkersError(f"--ray {self._address}: {self._end()}; {KEPT}") from None
        if kind == "answer":
            number, answer = value
            return number, answer
        if kind == "error":
            raise value
        if kind == "warning":
            self._reporter.warn(f"--ray {self._address}: {value}")
        elif kind == "slots":
            self.slots, workers = value
            self._reporter.note(f"--ray {self._address}: {workers} worker{'s' * (workers != 1)}")
        return None

    def ordered(self, parts: Iterable[Any]) -> Iterator[Any]:
        """The answers to parts, in their order; raises as `take`, and what `parts` raises behind what stands before."""
        self.start()
        source = enumerate(parts)
        ready: dict[int, Any] = {}
        given = done = 0
        problem: Exception | None = None
        over = False
        while True:
            while not over and given - done < AHEAD * self.slots:
                try:
                    number, part = next(source)
                except StopIteration:
                    over = True
                except Exception as error:
                    # raised when all that stands before it is answered
                    over, problem = True, error
                else:
                    self.submit(number, part)
                    given += 1
            if done == given:
                break
            while done not in ready:
                number, answer = self.take()
                ready[number] = answer
            yield ready.pop(done)
            done += 1
        if problem is not None:
            raise problem

    def _end(self) -> str:
        """Why the driver is gone."""
        code = self._process.wait()
        self._log.seek(0)
        lines = [line for line in self._log.read()[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
        return f"Ray ended with {code}{f' ({lines[-1].strip()[:200]})' if lines else ''}"

    def close(self) -> None:
        """End all that was started."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                self._process.wait(SHUTDOWN_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._pipe.close()
        self._log.close()
        self._folder.cleanup()
