"""A time for a whole request: looking up the host, connecting, and a reply of whatever form.

The time limit of a socket is that of single reads, and looking up a name has none at all.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any


class Deadline:
    """Shuts the connections of a request down when its time is over, whatever the server sends until then."""

    def __init__(self, seconds: float) -> None:
        """Args: the seconds from entering the block on."""
        self._ends = time.monotonic() + seconds
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
        """Raise TimeoutError when the time is over; before there is a connection other errors say what took it."""
        if self._over and self._twins:
            raise TimeoutError("timed out in the middle of a reply")

    def handlers(self) -> list[Any]:
        """What urllib opens connections with."""
        return [_Http(self), _Https(self)]

    def watched(self, connection: Any) -> Any:
        """The connection of http.client, whose socket is shut down in time."""
        connection._create_connection = self._connect
        return connection

    def _connect(self, address: tuple[str, int], timeout: float, *_: Any, **__: Any) -> socket.socket:
        made = _connected(_looked_up(*address, self._left()), self._left)
        made.settimeout(timeout)
        with self._lock:
            # TLS takes the socket itself away; a twin ends the connection all the same
            self._twins.append(made.dup())
        if self._over:
            made.close()
            self.check()
        return made

    def _left(self) -> float:
        """The seconds that are left; TimeoutError where none are."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out while connecting")
        return left

    def _end(self) -> None:
        with self._lock:
            self._over = True
            for twin in self._twins:
                with contextlib.suppress(OSError):
                    twin.shutdown(socket.SHUT_RDWR)


def _looked_up(host: str, port: int, seconds: float) -> list[Any]:
    """The addresses of a host, each as `socket.getaddrinfo` gives it; TimeoutError where they do not come in time."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            found.put(OSError(f"the host {host} is not known ({error})"))

    # a thread, for nothing else ends a look-up that hangs
    threading.Thread(target=look_up, daemon=True).start()
    try:
        addresses = found.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"timed out while looking up the host {host}") from None
    if isinstance(addresses, OSError):
        raise addresses
    return list(addresses)


def _connected(addresses: list[Any], left: Callable[[], float]) -> socket.socket:
    """A socket that is connected to the first address that answers; each has its share of the seconds that are left."""
    problem: OSError = OSError("the host has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        made = None
        try:
            made = socket.socket(family, kind, protocol)
            made.settimeout(left() / (len(addresses) - number))
            made.connect(address)
            return made
        except OSError as error:
            problem = error
            if made is not None:
                made.close()
    raise problem


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
