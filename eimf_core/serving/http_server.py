"""The server: where it listens, how many files it may open, and how it ends."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eimf_core import threads
from eimf_core.errors import ConfigError
from eimf_core.progress import Reporter
from eimf_core.recommend import thread_pipeline
from eimf_core.recommend.query.request import QueryRequest
from eimf_core.serving.app import App
from eimf_core.serving.batching import Batches
from eimf_core.serving.config import ServeConfig
from eimf_core.serving.live_model import LiveModel
from eimf_core.serving.metrics import Metrics

TOKEN = "EIMF_SERVE_TOKEN"
BACKLOG = 128
"""Connections that the system holds for the server; so many may be taken at once, beyond those that are let in."""
OTHER_FILES = 64 + BACKLOG
"""Files that are open beside connections."""
KEEP_ALIVE = 60
"""Seconds that a connection stays open between two requests."""
END = 5.0
"""Seconds that the end waits for a thread."""
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
        started: gets the server, whose `should_exit` ends it, before it runs.

    Raises:
        ConfigError: a package is missing, the address is taken or open to others without a token, or the path is no
            directory.
        ModelError: the model is broken.
        InputError: a file of `request` is.
    """
    try:
        import uvicorn

        from eimf_core.serving.protocol import with_bounds
    except ModuleNotFoundError:
        raise ConfigError(INSTALL) from None
    token = token_of_environment()
    listening = bound_socket(settings, token)
    with listening:
        metrics = Metrics()
        connections = _connections(settings, reporter)
        live = LiveModel(path, settings, request, reporter, metrics)
        number = settings.threads or threads.default(thread_pipeline.MOST_WORKERS)
        batches = Batches(number, settings.timeout, metrics)
        aside = Batches(1, settings.timeout, metrics)
        app = App(
            live, batches, aside, metrics, settings, token, lambda: len(server.server_state.connections), reporter
        )
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            app,
            http=with_bounds(settings, connections, metrics),
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
            timeout_graceful_shutdown=max(1, round(settings.timeout)),
        )
        host, port = listening.getsockname()[:2]
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        listens = f"{path} (version {live.now.version}) serves on {where}; Ctrl-C or SIGTERM ends it"
        server = _server(uvicorn, config, [batches, aside], lambda: reporter.note(listens))
        started(server)
        _run(server, listening, live, [batches, aside])
        number = metrics.queries
        answered = "1 query was answered" if number == 1 else f"{number:,} queries were answered"
        reporter.note(f"{path}: the service has ended; {answered}")


def _server(uvicorn: Any, config: Any, batches: list[Batches], listens: Callable[[], None]) -> Any:
    """A server of uvicorn that starts the threads with its loop, and calls `listens` when clients can connect."""

    class Server(uvicorn.Server):  # type: ignore[misc]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            for each in batches:
                each.start(asyncio.get_running_loop())
            await super().startup(sockets)
            listens()

    return Server(config)


def _run(server: Any, listening: socket.socket, live: LiveModel, batches: list[Batches]) -> None:
    watching = live.watch()
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


def bound_socket(settings: ServeConfig, token: str | None) -> socket.socket:
    """A socket at the address, which does not listen yet.

    Args:
        settings: the address, and whether other machines are let in without a token.
        token: that requests need.

    Raises:
        ConfigError: the address is none of this machine, is taken, or lets others in without a token.
    """
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(f"--host {host} is no address of this machine; give one, such as 127.0.0.1") from None
    family, kind, protocol, _, address = found[0]
    alone = ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback
    if not (alone or token or settings.open):
        raise ConfigError(
            f"--host {host} lets other machines in: set a token in the environment variable {TOKEN}, or say --open"
        )
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"--port {port} on {host} cannot be taken ({error.strerror}): end what listens there, or choose another"
        ) from None
    return listening


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
