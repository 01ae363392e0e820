"""The server: where it listens, how many files it may open, its processes, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eimf_core import threads
from eimf_core.errors import ConfigError
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend.query.request import QueryRequest
from eimf_core.serving.app import App
from eimf_core.serving.batching import Batcher
from eimf_core.serving.config import ServeConfig
from eimf_core.serving.live_model import LiveModel
from eimf_core.serving.metrics import Metrics
from eimf_core.serving.shared_figures import SharedFigures
from eimf_core.serving.workers import WorkerProcesses

TOKEN = "EIMF_SERVE_TOKEN"
BACKLOG = 128
"""Connections that the system holds for the server; so many may be taken at once, beyond those that are let in."""
OTHER_FILES = 64 + BACKLOG
"""Files that are open beside connections."""
KEEP_ALIVE = 60
"""Seconds that a connection stays open between two requests."""
END = 5.0
"""Seconds that the end waits for a thread."""
LINUX = sys.platform.startswith("linux")
SHARE_INTERVAL = 0.25
"""Seconds after which a process shares its figures with the others again."""
INSTALL = "eimf serve needs uvicorn, httptools and uvloop: pip install 'eimf[serve]'"


def serve(
    path: Path, settings: ServeConfig, request: QueryRequest, reporter: Reporter,
    started: Callable[[Any], None] = lambda server: None,
) -> None:  # fmt: skip
    """Answer requests until SIGTERM or Ctrl-C; those that are open are answered before it ends.

    Args:
        path: the model directory, or a link to one; followed when it changes.
        settings: where to listen, and bounds.
        request: what may be listed.
        reporter: hears where the service listens, and of each model.
        started: gets the server, whose `should_exit` ends it, before it runs; in each process its own.

    Raises:
        ConfigError: a package is missing, the address is taken or open to others without a token, or the path is no
            directory.
        ModelError: the model is broken.
        InputError: a file of `request` is.
        EimfError: its processes end as soon as they start.
    """
    try:
        import uvicorn  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(INSTALL) from None
    token = token_of_environment()
    number = settings.workers or (threads.for_answers() if LINUX else 1)
    number = number if hasattr(os, "fork") else 1
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(each) for each in bound_sockets(settings, token, number)]
        service = Service(path, settings, request, token, reporter, sockets)
        host, port = sockets[0].getsockname()[:2]
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        by = "" if number == 1 else f" with {number} processes"
        listens = f"{path} (version {service.live.now.version}) serves on {where}{by}; Ctrl-C or SIGTERM ends it"
        if number == 1:
            service.run(0, started, lambda: reporter.note(listens))
        else:
            workers = WorkerProcesses(
                number, lambda place: service.run(place, started), service.figures, reporter, path,
                patience=settings.timeout + END, release=opened.close, follow=service.live.follow_now_and_then,
            )  # fmt: skip
            started(workers)
            workers.run(lambda: reporter.note(listens))
        answered = service.queries
        told = "1 query was answered" if answered == 1 else f"{answered:,} queries were answered"
        reporter.note(f"{path}: the service has ended; {told}")


class Service:
    """What all processes of a service have in common; `live` is the opened model."""

    def __init__(
        self, path: Path, settings: ServeConfig, request: QueryRequest, token: str | None, reporter: Reporter,
        sockets: list[socket.socket],
    ) -> None:  # fmt: skip
        self._settings, self._token, self._reporter, self._sockets = settings, token, reporter, sockets
        self._first = os.getpid()
        self._connections = _connections(settings, reporter)
        self._metrics = Metrics()
        self.figures = SharedFigures(len(sockets))
        self.live = LiveModel(path, settings, request, reporter, self._metrics)

    @property
    def queries(self) -> int:
        """Queries that all processes have answered, as they told last."""
        total = Metrics()
        for place in range(len(self._sockets)):
            if told := self.figures.read(place):
                total.add(told)
        return total.queries

    def run(self, place: int, started: Callable[[Any], None], listens: Callable[[], None] = lambda: None) -> None:
        """Answer in this process until it is told to end.

        Args:
            place: its number.
            started: gets its server before it runs.
            listens: is called when clients can connect.
        """
        import uvicorn

        self._begin(place)
        settings, metrics, number = self._settings, self._metrics, len(self._sockets)
        batches, aside = Batcher(settings.timeout, metrics), Batcher(settings.timeout, metrics)
        app = App(
            self.live, batches, aside, metrics, settings, self._token,
            lambda: len(server.server_state.connections), self._reporter, lambda: others(),
        )  # fmt: skip

        def share() -> bool:
            self.figures.write(place, metrics.encoded(app.gauges))
            # where the first process was killed nobody would end the others
            return number > 1 and os.getppid() != self._first

        def others() -> list[bytes]:
            # what is shown here is not undercut by what another process shows next
            share()
            return self.figures.others(place)

        server = _server(uvicorn, self._uvicorn_config(app, place), [batches, aside], listens, share)
        started(server)
        try:
            if number > 1:
                # see `bound_sockets`
                self._sockets[place].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _run(server, self._sockets[place], self.live, [batches, aside], frozen=number > 1)
        finally:
            share()

    def _begin(self, place: int) -> None:
        """Leave the other processes what is theirs, and take over from one that has ended in this place."""
        for other, each in enumerate(self._sockets):
            if other != place and each is not self._sockets[place]:
                each.close()
        self.figures.begin(place)
        # what the first process counted of the models that it took is no figure of this one
        self.live.metrics = self._metrics = Metrics()
        if len(self._sockets) > 1:
            # all of them take the same models, and the first process tells of it
            self.live.reporter = SILENT
        if before := self.figures.read(place):
            # the model may have been replaced a moment ago
            self._metrics.add(before)
            self.live.settle()

    def _uvicorn_config(self, app: App, place: int) -> Any:
        import uvicorn

        from eimf_core.serving.protocol import with_bounds

        def counted(here: int) -> int:
            self.figures.set_connections(place, here)
            return self.figures.all_connections

        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        return uvicorn.Config(
            app,
            http=with_bounds(self._settings, self._connections, self._metrics, counted),
            ws="none",
            lifespan="off",
            interface="asgi3",
            loop="auto",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(self._settings.timeout)),
        )


def _server(
    uvicorn: Any, config: Any, batches: list[Batcher], listens: Callable[[], None], share: Callable[[], bool]
) -> Any:
    """A server of uvicorn that starts the threads with its loop and calls `listens` when clients can connect. It calls
    `share` again and again, and ends when that says so."""

    class Server(uvicorn.Server):  # type: ignore[misc]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            for each in batches:
                each.start(asyncio.get_running_loop())
            await super().startup(sockets)
            listens()
            self._sharing = asyncio.create_task(self._share())

        async def _share(self) -> None:
            while not share():
                await asyncio.sleep(SHARE_INTERVAL)
            self.should_exit = True

    return Server(config)


def _run(
    server: Any, listening: socket.socket, live: LiveModel, batches: list[Batcher], *, frozen: bool = False
) -> None:
    watching = live.watch(frozen=frozen)
    try:
        with threads.side_by_side():
            server.run(sockets=[listening])
    finally:
        live.close()
        for each in batches:
            each.stop()
        # it may be opening a model
        watching.join(END)


def token_of_environment() -> str | None:
    """The token that requests need, None without one; ConfigError for one that no header can carry."""
    token = os.environ.get(TOKEN)
    if token is None:
        return None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{TOKEN} is empty or holds other than printable ASCII without spaces; set another token")
    return token


def bound_sockets(settings: ServeConfig, token: str | None, number: int) -> list[socket.socket]:
    """Sockets at the address, one for each process, which do not listen yet.

    Args:
        settings: the address, and whether other machines are let in without a token.
        token: that requests need.
        number: of processes.

    Returns:
        So many sockets; the same one each time on systems that do not deal connections out among several.

    Raises:
        ConfigError: the address is none of this machine, is taken, or lets others in without a token.
    """
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(f"--host {host} is no address of this machine; give one, such as 127.0.0.1") from None
    family, _, _, _, address = found[0]
    alone = ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback
    if not (alone or token or settings.open):
        raise ConfigError(
            f"--host {host} lets other machines in: set a token in the environment variable {TOKEN}, or say --open"
        )
    first = _bound(family, address, settings, shared=False)
    if number == 1 or not LINUX:
        return [first] * number
    # a port that may be shared would be shared with another service, too: it was free a moment ago, and until these
    # sockets listen one that may only reuse it cannot have it
    with first:
        taken = first.getsockname()
    made = [_bound(family, taken, settings, shared=True) for _ in range(number)]
    for each in made:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return made


def _bound(family: int, address: Any, settings: ServeConfig, *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"--port {settings.port} on {settings.host} cannot be taken ({error.strerror}): "
            "end what listens there, or choose another"
        ) from None
    return made


def _connections(settings: ServeConfig, reporter: Reporter) -> int:
    """How many connections may be open: what is asked for, or what the system lets a process open."""
    try:
        import resource
    except ImportError:  # not on Windows
        return settings.connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        soft = needed
    room = settings.connections if soft == resource.RLIM_INFINITY else soft - OTHER_FILES
    if room < 1:
        raise ConfigError(f"the system lets this process open {soft} files, too few to serve; raise `ulimit -n`")
    if room < settings.connections:
        reporter.warn(f"--connections {settings.connections}: the system lets this process have {room} (`ulimit -n`)")
    return min(room, settings.connections)
