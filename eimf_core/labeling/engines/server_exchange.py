"""One request to an OpenAI-compatible endpoint and its reply, both bounded in time and size.

Redirects are not followed, and a server on this machine is never reached through a proxy.
A server that stalls or sends byte by byte keeps neither a thread nor a connection after the time is over; only looking
up a host and connecting to it (a proxy included) cannot be broken off, and end by the limits of the system.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import orjson

from eimf_core.labeling.engines import server_address

LONGEST_REPLY = 16 << 20
"""Bytes of a reply; an answer has a few thousand."""
LONGEST_ERROR = 1 << 16
"""Bytes of a reply that are read for what it says about an error."""
LONGEST_ERROR_WAIT = 5.0
"""Seconds to wait for them, and never more than a quarter of the time that is left: the status says the most."""
THREADS = "eimf-exchange"
"""How the names of all threads begin that are started here."""

SECRET = 12
"""Characters from which on a key is one, and is not shown where a server repeats it; local ones take any word."""


class Refusal(Exception):  # noqa: N818 (an answer of the server, not a failure to get one)
    """A reply with another status than 200. `said` is its body, as far as it came."""

    def __init__(self, status: int, reason: str, said: bytes, headers: Any) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.reason, self.said, self.headers = status, reason, said, headers


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class _Connection(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens the connection of one exchange, which another thread can shut: what waits for its next byte then ends."""

    def __init__(self) -> None:
        super().__init__()
        self._socket: socket.socket | None = None
        self._over = False

    def do_open(self, http_class: Any, req: urllib.request.Request, **settings: Any) -> http.client.HTTPResponse:
        def made(*place: Any, **more: Any) -> Any:
            connection = http_class(*place, **more)
            usual = connection.connect

            def connect() -> None:
                usual()
                self._socket = connection.sock
                if self._over:
                    self.shut()

            connection.connect = connect
            return connection

        return super().do_open(made, req, **settings)

    def shut(self) -> None:
        self._over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # that of the class itself: of a TLS socket the method would take the keys from under a reader
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def exchange(url: str, body: dict[str, Any] | None, *, key: str | None, seconds: float) -> bytes:
    """Send plain data as JSON (None: ask for what is there) and return the body of the reply.

    Args:
        url: of the endpoint.
        body: what to send.
        key: sent as a bearer token.
        seconds: for all of it, looking up the host included.

    Returns:
        The bytes of the body.

    Raises:
        Refusal: for a reply with another status than 200.
        OSError: where no whole reply came, or none in time; also http.client.HTTPException.
    """
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else orjson.dumps(body)
    request = urllib.request.Request(url, data=data, headers=headers, method="GET" if body is None else "POST")
    outcome: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    connection = _Connection()

    def work() -> None:
        try:
            outcome.put(_reply_to(request, connection, key, seconds))
        except Exception as error:
            outcome.put(error)

    # a thread, as the time limit of a socket is that of single reads, and looking up a host has none
    threading.Thread(target=work, name=THREADS, daemon=True).start()
    try:
        found = outcome.get(timeout=seconds)
    except queue.Empty:
        connection.shut()
        raise TimeoutError(f"timed out after {seconds:g} seconds") from None
    if isinstance(found, Exception):
        raise found
    return found


def _reply_to(request: urllib.request.Request, connection: _Connection, key: str | None, seconds: float) -> bytes:
    ends = time.monotonic() + seconds
    handlers: list[Any] = [_NoRedirect(), connection]
    if server_address.is_loopback(request.full_url):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as response:
            return _read_all(response, ends)
    except urllib.error.HTTPError as error:
        raise _refusal(error, connection, key, ends) from None


def _read_all(response: http.client.HTTPResponse, ends: float) -> bytes:
    read = bytearray()
    while part := response.read1(1 << 16):
        read += part
        if len(read) > LONGEST_REPLY:
            raise http.client.HTTPException(f"a reply of more than {LONGEST_REPLY >> 20} MiB")
        if time.monotonic() > ends:
            # nobody waits any longer: leaving closes the connection
            raise TimeoutError("timed out")
    if response.length:
        raise http.client.IncompleteRead(bytes(read[:0]), response.length)
    return bytes(read)


def _refusal(error: urllib.error.HTTPError, connection: _Connection, key: str | None, ends: float) -> Refusal:
    said = bytearray()
    body: Any = error
    wait = min(LONGEST_ERROR_WAIT, max(ends - time.monotonic(), 0) / 4)
    # shutting ends whatever waits: the clock is not looked at while the length of a chunk comes byte by byte
    limit = threading.Timer(wait, connection.shut)
    limit.name, limit.daemon = f"{THREADS}-limit", True
    limit.start()
    with error, contextlib.suppress(OSError, http.client.HTTPException):
        while len(said) < LONGEST_ERROR and (part := body.read1(1 << 12)):
            said += part
    limit.cancel()
    told = bytes(said)
    if key and len(key) >= SECRET:
        told = told.replace(key.encode(), b"***")
    return Refusal(error.code, str(error.reason), told, error.headers)
