"""Packed files, unpacked within bounds: a file of a few kilobytes may hold petabytes of zeros."""

from __future__ import annotations

import gzip
import io
import os
import stat
from typing import Any

from eimf_core.errors import InputError

LARGEST_RATIO, SMALL = 200, 1 << 30
"""What is packed may become so many times as large as its file, and a gigabyte in any case; text packs 3 to 20
times."""


class Bound:
    """Counts the bytes that a packed file becomes; InputError where they are far more than text has.

    Args:
        packed: the size of the file in bytes.
        name: what errors call the file.
    """

    def __init__(self, packed: int, name: object) -> None:
        self._most = max(SMALL, LARGEST_RATIO * packed)
        self._name = name
        self._done = 0

    def add(self, count: int) -> None:
        """Count further bytes."""
        self._done += count
        if self._done > self._most:
            raise InputError(
                f"becomes more than {self._most:,} bytes when it is unpacked, {LARGEST_RATIO} times as many as it has, "
                "which no data of this kind does; where you trust it, unpack it first",
                file=self._name,
            )


class _Gunzipped(io.RawIOBase):
    """What a gzip stream holds, within bounds."""

    def __init__(self, unpacked: gzip.GzipFile, bound: Bound) -> None:
        self._unpacked = unpacked
        self._bound = bound

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._unpacked.readinto(buffer)
        self._bound.add(count)
        return count


def gunzipped(raw: io.BufferedReader, name: object) -> io.BufferedReader:
    """A stream of what a gzip stream holds.

    Args:
        raw: the stream; of a pipe, whose size is not known, any amount is read.
        name: what errors call the file.

    Raises:
        InputError: while it is read, where it becomes far larger than text does.
        EOFError, gzip.BadGzipFile, zlib.error: while it is read, where it is broken.
    """
    unpacked = gzip.GzipFile(fileobj=raw, mode="rb")
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        return io.BufferedReader(unpacked)
    return io.BufferedReader(_Gunzipped(unpacked, Bound(status.st_size, name)), 1 << 17)
