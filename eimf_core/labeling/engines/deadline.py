"""A time for a whole request, for the time limit of a socket is that of single reads."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.request
from typing import Any


class Deadline:
    """Shuts the connections of a request down when its time is over, whatever the server sends until then."""

    def __init__(self, seconds: float) -> None:
        """Args: the seconds from entering the block on."""
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._twins: list[socket.socket] = []
        self._over = False

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for twin in self._twins:
                twin.close()
            self._twins = []

    def check(self) -> None:
        """Raise TimeoutError when the time is over."""
        if self._over:
            raise TimeoutError("timed out in the middle of a reply")

    def handlers(self) -> list[Any]:
        """What urllib opens connections with."""
        return [_Http(self), _Https(self)]

    def watched(self, connection: Any) -> Any:
        """The connection of http.client, whose socket is shut down in time."""
        connection._create_connection = self._connect
        return connection

    def _connect(self, *args: Any, **settings: Any) -> socket.socket:
        made = socket.create_connection(*args, **settings)
        with self._lock:
            # TLS takes the socket itself away; a twin ends the connection all the same
            self._twins.append(made.dup())
        if self._over:
            made.close()
            self.check()
        return made

    def _end(self) -> None:
        with self._lock:
            self._over = True
            for twin in self._twins:
                with contextlib.suppress(OSError):
                    twin.shutdown(socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Any) -> Any:
        return self.do_open(lambda host, **more: self._deadline.watched(http.client.HTTPConnection(host, **more)), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: Any) -> Any:
        return self.do_open(lambda host, **more: self._deadline.watched(http.client.HTTPSConnection(host, **more)), req)
