"""The process that talks to Ray for `ray_map`: parts and answers pass through a pipe.

A worker is an actor of Ray. One that dies is replaced, its parts are given to others; a part over which MAX_DEATHS
workers died ends the run. Ray reports nothing about its use, and a local cluster listens on the loopback interface
alone, with a token of its own.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from eimf_core.errors import EimfError, WorkersError, counted
from eimf_core.io import provenance
from eimf_core.ray_cluster.ray_map import KEPT, DriverSetup
from eimf_core.ray_cluster.ray_option import LOCAL

MAX_DEATHS = 3
"""Workers that may die over one part."""
POLL_INTERVAL = 0.05
"""Seconds between two looks at what came in."""
HEAD_INTERVAL, HEAD_MISSES, CONNECT_TIMEOUT = 1.0, 3, 2.0
"""Seconds between two looks whether the head of the cluster is there, how many in a row find nothing, and how long one
waits."""
NO_WORKER_TIMEOUT = 30.0
"""Seconds without any worker before that is told."""
STORE = 200 << 20
"""Bytes of a local cluster's object store; large answers pass through it one after the other."""


class RayWorker:
    """What runs in a worker."""

    def ready(self, version: str, make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
        """Open what answers parts; raises EimfError where that cannot be."""
        here = _version()
        if here != version:
            raise WorkersError(
                f"--ray: a worker on {socket.gethostname()} has eimf {here}, this machine has {version}; "
                "install the same on all machines"
            )
        self._work: Callable[[Any], Any] = make(*arguments)

    def run(self, part: Any) -> Any:
        """Answer a part."""
        return self._work(part)


@dataclass(eq=False)
class _Actor:
    """A worker as the driver sees it: `ready` once it has opened what it needs, and the `parts` that it works on."""

    handle: Any
    ready: bool = False
    parts: dict[int, Any] = field(default_factory=dict)


class Driver:
    """Gives parts to workers until the pipe ends."""

    def __init__(self, ray: Any, setup: DriverSetup, head: str, pipe: Connection) -> None:
        self._ray, self._setup, self._head, self._pipe = ray, setup, head, pipe
        self._kind = ray.remote(RayWorker)
        self._parts: deque[tuple[int, Any]] = deque()
        self._calls: dict[Any, tuple[_Actor, int | None]] = {}
        self._actors: list[_Actor] = []
        self._deaths: dict[int, int] = {}
        self._deaths_in_a_row = 0
        self._seen = self._busy = time.monotonic()
        self._missed = 0

    def run(self, incoming: queue.Queue[Any]) -> None:
        """Work until `incoming` gives None."""
        workers = self._capacity()
        for _ in range(workers):
            self._start()
        self._pipe.send(("slots", (workers * self._setup.slots, workers)))
        while True:
            while not incoming.empty():
                message = incoming.get()
                if message is None:
                    return
                self._parts.append(message)
            self._assign()
            done, _ = (
                self._ray.wait(list(self._calls), timeout=POLL_INTERVAL, fetch_local=False) if self._calls else ([], [])
            )
            for call in done:
                self._collect(call)
            self._check_health()

    def _capacity(self) -> int:
        """How many workers the machines of the cluster have room for."""
        setup, found = self._setup, 0
        for node in self._ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                room = int(has.get("CPU", 0)) // setup.cpus
                found += min(room, int(has.get("GPU", 0)) // setup.gpus) if setup.gpus else room
        if not found:
            wanted = f"{setup.cpus} CPU{f' and {setup.gpus} GPU' if setup.gpus else ''}"
            raise WorkersError(f"--ray {setup.address}: no machine of the cluster has {wanted} for a worker")
        return found

    def _start(self) -> None:
        setup = self._setup
        handle = self._kind.options(
            num_cpus=setup.cpus, num_gpus=setup.gpus, max_concurrency=setup.slots, max_restarts=0
        ).remote()
        actor = _Actor(handle)
        self._actors.append(actor)
        self._calls[handle.ready.remote(_version(), setup.make, setup.arguments)] = actor, None

    def _assign(self) -> None:
        """Parts to workers that have room, one more than they have slots for, so that none waits."""
        for actor in self._actors:
            while actor.ready and self._parts and len(actor.parts) <= self._setup.slots:
                number, part = self._parts.popleft()
                actor.parts[number] = part
                self._calls[actor.handle.run.remote(part)] = actor, number

    def _collect(self, call: Any) -> None:
        if call not in self._calls:  # its worker died, which another call has told
            return
        actor, number = self._calls.pop(call)
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error, self._setup.address) from None
        except self._ray.exceptions.RayError as error:
            if number is None and "creation task" in str(error):
                raise WorkersError(f"--ray {self._setup.address}: a worker cannot start ({_line(error)})") from None
            self._replace(actor, error)
            return
        self._deaths_in_a_row = 0
        if number is None:
            actor.ready = True
            return
        del actor.parts[number]
        self._pipe.send(("answer", (number, answer)))

    def _replace(self, actor: _Actor, error: Exception) -> None:
        """Another worker for one that died; its parts come first."""
        self._calls = {call: of for call, of in self._calls.items() if of[0] is not actor}
        self._actors.remove(actor)
        self._check_head(at_once=True)
        reason = _line(error)
        for number in actor.parts:
            self._deaths[number] = self._deaths.get(number, 0) + 1
            if self._deaths[number] >= MAX_DEATHS:
                raise WorkersError(
                    f"--ray {self._setup.address}: {MAX_DEATHS} workers died over the same part ({reason}); a worker "
                    f"that runs out of memory is killed by the system; {KEPT}"
                )
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row > MAX_DEATHS + 2 * len(self._actors):
            raise WorkersError(
                f"--ray {self._setup.address}: workers die before they answer anything ({reason}); {KEPT}"
            )
        again = f"; {counted(len(actor.parts), 'part')} of its work begins again" if actor.parts else ""
        self._pipe.send(("warning", f"a worker died and is replaced{again}"))
        self._parts.extendleft(reversed(actor.parts.items()))
        self._ray.kill(actor.handle)  # one that is out of reach must not go on beside the new one
        self._start()

    def _check_health(self) -> None:
        """Whether the cluster is there, and anyone works."""
        now = time.monotonic()
        if any(actor.ready for actor in self._actors):
            self._busy = now
        elif now - self._busy > NO_WORKER_TIMEOUT:
            self._busy = now
            self._pipe.send(("warning", "no worker is there; waiting for the cluster to have room for one"))
        if now - self._seen > HEAD_INTERVAL:
            self._check_head()

    def _check_head(self, *, at_once: bool = False) -> None:
        while True:
            self._seen = time.monotonic()
            self._missed = 0 if is_listening(self._head) else self._missed + 1
            if self._missed >= HEAD_MISSES:
                raise WorkersError(f"--ray {self._setup.address}: the head of the cluster is gone; {KEPT}")
            if not self._missed or not at_once:
                return
            time.sleep(HEAD_INTERVAL)


def is_listening(address: str) -> bool:
    """Whether something listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()
    except (OSError, OverflowError):
        return False
    return True


def _version() -> str:
    return provenance.versions().get("eimf", "of a checkout")


def _line(error: BaseException) -> str:
    """The reason of an error of Ray in one line: how a worker ended, or the last line, which says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    _, found, told = str(error).partition("Worker exit detail: ")
    return " ".join((told if found else lines[-1] if lines else type(error).__name__).split())[:160]


def _cause(error: Any, address: str) -> EimfError:
    """What the work raised, as an error with a message."""
    cause = error.cause
    if isinstance(cause, EimfError):
        return cause
    return WorkersError(f"--ray {address}: a worker failed with {type(cause).__name__}: {str(cause)[:300]}; {KEPT}")


def connect(setup: DriverSetup) -> tuple[Any, str]:
    """Ray, connected, and where the head of the cluster listens; raises WorkersError."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    local = setup.address == LOCAL
    options: dict[str, Any] = {"address": setup.address}
    if local:
        # Ray keeps to the loopback interface where it takes clusters not to be supported
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(32)
        options = {
            "address": LOCAL,
            "num_cpus": setup.processes * setup.cpus,
            "include_dashboard": False,
            "object_store_memory": STORE,
            "_temp_dir": setup.folder,
        }
    elif not is_listening(setup.address):
        raise WorkersError(
            f"--ray {setup.address}: nothing listens there; start a cluster with 'ray start --head' and give its "
            f"address, or use --ray {LOCAL}"
        )
    import ray

    try:
        ray.init(**options, log_to_driver=False, configure_logging=False)
    except Exception as error:  # whatever Ray meets on its way
        raise WorkersError(f"--ray {setup.address}: Ray cannot be used ({_line(error)})") from None
    return ray, ray.get_runtime_context().gcs_address


def main(handle: int) -> None:
    """Work for the process that started this one; `handle` is its end of the pipe."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pipe = Connection(handle)
    setup: DriverSetup = pipe.recv()
    incoming: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                incoming.put(pipe.recv())
        incoming.put(None)

    ray: Any = None
    try:
        try:
            ray, head = connect(setup)
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray has set one of its own
            threading.Thread(target=read, daemon=True).start()
            Driver(ray, setup, head, pipe).run(incoming)
        except EimfError as error:
            pipe.send(("error", error))
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # nobody waits any more
    finally:
        if ray is not None:
            ray.shutdown()
        shutil.rmtree(setup.folder, ignore_errors=True)  # who started this process may be gone
