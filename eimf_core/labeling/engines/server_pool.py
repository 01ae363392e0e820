"""Several servers that share the load: the next request goes to the one with the fewest open ones that is not away."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from eimf_core.labeling.engines.server_question import RequestStyle

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds that a server is left alone after a failure, doubled each time."""


@dataclass(eq=False)
class Endpoint:
    """One server.

    Attributes:
        url: its base address.
        style: how it wants to be asked.
        open: requests that wait for its reply.
        failures: in a row.
        away_until: when it is asked again, on the clock of `time.monotonic`.
        gone: whether it is asked no more.
        told: whether the user was told that it is left out.
    """

    url: str
    style: RequestStyle = field(default_factory=RequestStyle)
    open: int = 0
    failures: int = 0
    away_until: float = 0.0
    gone: bool = False
    told: bool = False


class Pool:
    """The servers of a run, used by many threads."""

    def __init__(self, urls: list[str]) -> None:
        self.endpoints = [Endpoint(url) for url in urls]
        self._lock = threading.Lock()

    def take(self) -> Endpoint:
        """The server for the next request; the one that comes back first where all are away."""
        now = time.monotonic()
        with self._lock:
            left = [endpoint for endpoint in self.endpoints if not endpoint.gone] or self.endpoints
            here = [endpoint for endpoint in left if endpoint.away_until <= now]
            endpoint = min(here, key=lambda each: each.open) if here else min(left, key=lambda each: each.away_until)
            endpoint.open += 1
            return endpoint

    def give(self, endpoint: Endpoint) -> None:
        """A request to the server has ended."""
        with self._lock:
            endpoint.open -= 1

    def answered(self, endpoint: Endpoint, style: RequestStyle) -> bool:
        """A server gave an answer, asked in this style; whether that is another style than before."""
        with self._lock:
            endpoint.failures, endpoint.away_until, endpoint.told = 0, 0.0, False
            other, endpoint.style = endpoint.style != style, style
            return other

    def failed(self, endpoint: Endpoint, *, pause: float | None = None, gone: bool = False) -> bool:
        """A server failed, and is left alone for a while or for good.

        Args:
            endpoint: the server.
            pause: seconds that it asked for itself.
            gone: whether it will never answer.

        Returns:
            Whether another server is left to ask at once; of one that is gone, whether another is left at all.
        """
        now = time.monotonic()
        with self._lock:
            doubled = min(FIRST_PAUSE * 2**endpoint.failures, LONGEST_PAUSE)
            endpoint.failures = min(endpoint.failures + 1, 16)
            endpoint.away_until = now + (doubled if pause is None else min(pause, LONGEST_PAUSE))
            endpoint.gone |= gone
            left = [each for each in self.endpoints if each is not endpoint and not each.gone]
            return any(gone or each.away_until <= now for each in left)

    def first_told(self, endpoint: Endpoint) -> bool:
        """Whether it is the first time, since the server last answered, that it is told of as away."""
        with self._lock:
            first, endpoint.told = not endpoint.told, True
            return first
