"""A service in a thread of this process, and what a client says to it."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eimf_core.recommend.query.request import QueryRequest
from eimf_core.serving import http_server
from eimf_core.serving.config import ServeConfig
from tests.listening import Listening


class Service:
    """A running service: its port, and what it told its reporter."""

    def __init__(self, port: int, said: Listening, server: Any) -> None:
        self.port, self.said, self.server = port, said, server

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer to one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def connect(self) -> socket.socket:
        """A connection on which nothing is said yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


def told(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def running(path: Path, request: QueryRequest | None = None, **settings: Any) -> Iterator[Service]:
    """A service on a free port, ended with the block."""
    said, servers, problems = Listening(), [], []
    ready = threading.Event()

    class Reporter(Listening):
        def note(self, message: str) -> None:
            said.notes.append(message)
            ready.set()

        def warn(self, message: str) -> None:
            said.warnings.append(message)

    def work() -> None:
        try:
            chosen = ServeConfig(port=0, workers=1, **settings)
            http_server.serve(path, chosen, request or QueryRequest(), Reporter(), started=servers.append)
        except BaseException as error:
            problems.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(60) and not problems, problems
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said.notes[0])
        assert found
        yield Service(int(found[1]), said, servers[0])
    finally:
        for each in servers:
            each.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
