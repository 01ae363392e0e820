"""One request to an OpenAI-compatible endpoint and its reply, both bounded in time and size.

Redirects are not followed, and a server on this machine is never reached through a proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
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


def exchange(url: str, body: dict[str, Any] | None, *, key: str | None, seconds: float) -> bytes:
    """Send plain data as JSON (None: ask for what is there) and return the body of the reply.

    Args:
        url: of the endpoint.
        body: what to send.
        key: sent as a bearer token.
        seconds: for all of it, looking up the host included.

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

    def work() -> None:
        try:
            outcome.put(_reply_to(request, key, seconds))
        except Exception as error:
            outcome.put(error)

    # the time limit of a socket is that of single reads, and looking up a host has none: the thread is left to itself
    threading.Thread(target=work, daemon=True).start()
    try:
        found = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"timed out after {seconds:g} seconds") from None
    if isinstance(found, Exception):
        raise found
    return found


def _reply_to(request: urllib.request.Request, key: str | None, seconds: float) -> bytes:
    ends = time.monotonic() + seconds
    handlers: list[Any] = [_NoRedirect()]
    if server_address.is_loopback(request.full_url):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as response:
            return _read_all(response, ends)
    except urllib.error.HTTPError as error:
        raise _refusal(error, key) from None


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


def _refusal(error: urllib.error.HTTPError, key: str | None) -> Refusal:
    said = b""
    with error, contextlib.suppress(OSError, http.client.HTTPException):
        said = error.read(LONGEST_ERROR)
    if key and len(key) >= SECRET:
        said = said.replace(key.encode(), b"***")
    return Refusal(error.code, str(error.reason), said, error.headers)
