"""Several servers that share the load: the next request goes to the one with the fewest open ones that is not away."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from eimf_core.labeling.engines.server_question import Manner

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds that a server is left alone after a failure, doubled each time."""


@dataclass(eq=False)
class Place:
    """One server.

    Attributes:
        url: its base address.
        manner: how it wants to be asked.
        open: requests that wait for its reply.
        failures: in a row.
        away_until: when it is asked again, on the clock of `time.monotonic`.
        gone: whether it is asked no more.
        told: whether the user was told that it is left out.
    """

    url: str
    manner: Manner = field(default_factory=Manner)
    open: int = 0
    failures: int = 0
    away_until: float = 0.0
    gone: bool = False
    told: bool = False


class Pool:
    """The servers of a run, used by many threads."""

    def __init__(self, urls: list[str]) -> None:
        self.places = [Place(url) for url in urls]
        self._lock = threading.Lock()

    def take(self) -> Place:
        """The server for the next request; the one that comes back first where all are away."""
        now = time.monotonic()
        with self._lock:
            left = [place for place in self.places if not place.gone] or self.places
            here = [place for place in left if place.away_until <= now]
            place = min(here, key=lambda each: each.open) if here else min(left, key=lambda each: each.away_until)
            place.open += 1
            return place

    def give(self, place: Place) -> None:
        """A request to the server has ended."""
        with self._lock:
            place.open -= 1

    def answered(self, place: Place, manner: Manner) -> bool:
        """A server gave an answer, asked in this manner; whether that is another manner than before."""
        with self._lock:
            place.failures, place.away_until, place.told = 0, 0.0, False
            other, place.manner = place.manner != manner, manner
            return other

    def failed(self, place: Place, *, pause: float | None = None, gone: bool = False) -> bool:
        """A server failed, and is left alone for a while or for good.

        Args:
            place: the server.
            pause: seconds that it asked for itself.
            gone: whether it will never answer.

        Returns:
            Whether another server is left to ask at once; of one that is gone, whether another is left at all.
        """
        now = time.monotonic()
        with self._lock:
            doubled = min(FIRST_PAUSE * 2**place.failures, LONGEST_PAUSE)
            place.failures = min(place.failures + 1, 16)
            place.away_until = now + (doubled if pause is None else min(pause, LONGEST_PAUSE))
            place.gone |= gone
            left = [each for each in self.places if each is not place and not each.gone]
            return any(gone or each.away_until <= now for each in left)

    def first_told(self, place: Place) -> bool:
        """Whether it is the first time, since the server last answered, that it is told of as away."""
        with self._lock:
            first, place.told = not place.told, True
            return first
