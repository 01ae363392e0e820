"""HTTP/1.1 of uvicorn with bounds: how many connections, how long a request may take to come and an answer to go,
how large the head of a request is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from eimf_core.serving.config import ServeConfig
from eimf_core.serving.metrics import Metrics

LARGEST_HEAD = 1 << 16
"""Bytes of a request before its body."""
MAX_AHEAD = 16
"""Requests that a client may send before it has the answer to the first."""

UPGRADE = re.compile(rb"(?<=\n)upgrade(?=[ \t]*:)", re.IGNORECASE)


class EndedError(Exception):
    """The connection is about to end: what else has come on it is not read."""


def _whole(status: str, problem: str, *headers: str) -> bytes:
    """An answer that ends the connection."""
    body = f'{{"error":"{problem}"}}\n'
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "connection: close", "", body]).encode()


TOO_MANY = _whole("503 Service Unavailable", "too many connections; ask again later", "retry-after: 1")
TOO_SLOW = _whole("408 Request Timeout", "the request did not come in time")
NO_REQUEST = _whole("400 Bad Request", "what was sent is no request of HTTP/1.1")
TOO_LARGE = _whole("431 Request Header Fields Too Large", "the head of the request is larger than 64 KiB")


def _without_upgrade(data: bytes) -> bytes:
    """The bytes of a request whose offer of another protocol, as clients of HTTP/2 make it, is under another name.

    The parser takes nothing behind the head of such a request, neither its body nor the next one.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return UPGRADE.sub(b"x-offer", head) + end + rest


class Bounded(HttpToolsProtocol):
    """One connection; `with_bounds` makes a class of this one that knows the bounds."""

    most_connections: int
    counted: Callable[[int], int]
    timeout: float
    metrics: Metrics

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._refused = False
        # a request has begun and is not whole; its head is not whole
        self._coming, self._in_head = False, True
        # bytes of the head of a request that were read, and those that have come of it, read or not
        self._head, self._taken = 0, 0
        # how many bytes came last, and whether they hold something before the request that begins next
        self._packet, self._behind = 0, False
        # an answer, or none, behind those to the whole requests that have come
        self._last_words: bytes | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        here = len(self.connections)
        if self.counted(here) >= self.most_connections:
            self._refused, self.transport = True, transport
            self._end("too many connections", TOO_MANY)
            return
        super().connection_made(transport)
        self.counted(here + 1)
        # the first request; between later ones uvicorn has a time of its own
        self._deadline = self.loop.call_later(self.timeout, self._end_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._refused:
            return
        for timer in (self._deadline, self._write_deadline):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.counted(len(self.connections))

    def data_received(self, data: bytes) -> None:
        if self._refused or self._last_words is not None or self.transport.is_closing():
            return
        self._packet, self._behind = len(data), self._coming
        if (self._in_head or not self._coming) and b"pgrade" in data:
            data = _without_upgrade(data)
        super().data_received(data)
        if not self._coming or self._last_words is not None:
            self._stop_deadline()
            return
        self._taken += len(data)
        if self._in_head and self._taken > LARGEST_HEAD:
            self._end_in_turn("too large a head", TOO_LARGE)
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.timeout, self._end_slow)

    def on_message_begin(self) -> None:
        # where its part of the bytes begins is not known, unless they begin with it
        self._taken = -self._packet if self._behind else 0
        self._coming, self._in_head, self._head, self._behind = True, True, 0, True
        if len(self.pipeline) >= MAX_AHEAD - 1:
            self._end_in_turn("too many requests ahead", b"")
            raise EndedError
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # behind a body headers come without end
        if self._in_head:
            self._count_head(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

    def _count_head(self, more: int) -> None:
        self._head += more
        if self._head > LARGEST_HEAD:
            self._end_in_turn("too large a head", TOO_LARGE)
            raise EndedError

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        self._coming = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if last and self._last_words is not None:
            self._close(self._last_words)

    def send_400_response(self, msg: str) -> None:
        self._end_in_turn("no request of HTTP", NO_REQUEST)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(self.timeout, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _end_slow(self) -> None:
        answered = self.cycle is not None and self.cycle.response_started and not self._in_head
        self._end("too slow a request", TOO_SLOW if self._coming and not answered else b"")

    def _abort(self) -> None:
        self.metrics.refused["too slow a reader"] += 1
        self.transport.abort()

    def _end(self, why: str, answer: bytes) -> None:
        """Close the connection with an answer, or without; once, whatever else came with what ends it."""
        if not self.transport.is_closing():
            self.metrics.refused[why] += 1
            self._close(answer)

    def _end_in_turn(self, why: str, answer: bytes) -> None:
        """Read no more, answer the whole requests before, and then close the connection as `_end` does."""
        if self._last_words is not None or self.transport.is_closing():
            return
        self.metrics.refused[why] += 1
        self._last_words = answer
        if not self._coming or self._in_head:
            if self.cycle is None or self.cycle.response_complete:
                self._close(answer)
        elif self.pipeline:
            # the one at fault is the latest of those that wait
            self.pipeline.popleft()
        else:
            self._close(b"" if self.cycle.response_started else answer)

    def _close(self, answer: bytes) -> None:
        if self.transport.is_closing():
            return
        if answer:
            self.transport.write(answer)
        self.transport.close()


def with_bounds(
    settings: ServeConfig, connections: int, metrics: Metrics, counted: Callable[[int], int] = lambda here: here
) -> type[Bounded]:
    """The protocol of a service.

    Args:
        settings: its timeout.
        connections: that may be open at once.
        metrics: counts what is ended.
        counted: is told how many this process has, and says how many there are in all of them.

    Returns:
        A subclass of `Bounded` for uvicorn.
    """
    bounds = {
        "most_connections": connections,
        "counted": staticmethod(counted),
        "timeout": settings.timeout,
        "metrics": metrics,
    }
    return type("BoundedProtocol", (Bounded,), bounds)
