"""Memory in which each process of a service tells its figures to the others."""

from __future__ import annotations

import mmap
import struct
import time
import zlib

HALF = 1 << 15
"""Bytes of one half of the slot of a process."""
HEAD = struct.Struct("<IIQ")
NUMBERS = struct.Struct("<qd")


class SharedFigures:
    """For each process a slot of two halves, written in turn: one that was left half written is not read. Beside it how
    many connections it has, and when it told last."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._memory = mmap.mmap(-1, number * 2 * HALF)
        self._numbers = mmap.mmap(-1, number * NUMBERS.size)

    def write(self, place: int, figures: bytes) -> None:
        """Put the figures of a process in place of those before; what does not fit is left out."""
        NUMBERS.pack_into(self._numbers, place * NUMBERS.size, self.connections(place), time.monotonic())
        turn = max(turn for turn, _ in self._halves(place)) + 1
        if HEAD.size + len(figures) <= HALF:
            start = (2 * place + turn % 2) * HALF
            self._memory[start + HEAD.size : start + HEAD.size + len(figures)] = figures
            HEAD.pack_into(self._memory, start, len(figures), zlib.crc32(figures), turn)

    def read(self, place: int) -> bytes:
        """The latest figures of a process; empty before the first."""
        return max(self._halves(place))[1]

    def _halves(self, place: int) -> list[tuple[int, bytes]]:
        """What is whole in a slot, each with its number; the number 0 where there is nothing."""
        found = [(0, b"")]
        for start in (2 * place * HALF, (2 * place + 1) * HALF):
            length, check, turn = HEAD.unpack_from(self._memory, start)
            figures = self._memory[start + HEAD.size : start + HEAD.size + min(length, HALF - HEAD.size)]
            if turn and zlib.crc32(figures) == check:
                found.append((turn, figures))
        return found

    def others(self, place: int) -> list[bytes]:
        """The figures of all processes but one."""
        return [figures for other in range(self._number) if other != place and (figures := self.read(other))]

    def connections(self, place: int) -> int:
        """Connections that a process has."""
        return int(NUMBERS.unpack_from(self._numbers, place * NUMBERS.size)[0])

    def set_connections(self, place: int, number: int) -> None:
        """Tell how many connections a process has."""
        NUMBERS.pack_into(self._numbers, place * NUMBERS.size, number, self.told(place))

    @property
    def all_connections(self) -> int:
        """Connections that all processes have together."""
        return sum(map(self.connections, range(self._number)))

    def told(self, place: int) -> float:
        """When a process wrote last, in seconds of the monotonic clock; 0 before the first time."""
        return float(NUMBERS.unpack_from(self._numbers, place * NUMBERS.size)[1])

    def begin(self, place: int) -> None:
        """A process starts in this place: it has no connection, and is not late."""
        NUMBERS.pack_into(self._numbers, place * NUMBERS.size, 0, time.monotonic())
