"""Files as the system gives them, opened to be read: errors name the file, and no named pipe is waited for in vain."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import threading
from pathlib import Path
from typing import IO, Any

from eimf_core.errors import ConfigError, InputError

PIPE_SECONDS = 10.0
"""How long somebody may take to open the other end of a named pipe."""
LONGEST_TEXT = 16 << 20
"""Bytes of the longest configuration, template or the like that is read as a whole."""


class _Raw(io.FileIO):
    """A file whose errors while it is read are those of a bad input."""

    def __init__(self, path: str | Path | int, name: str) -> None:
        super().__init__(path, "rb")
        self._shown = name

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", file=self._shown) from None


def opened(path: str | Path) -> io.BufferedReader:
    """A binary stream of a file.

    Raises:
        OSError: it cannot be opened.
        ConfigError: it is a named pipe that nobody writes to, or a device without end such as /dev/zero.
    """
    status = os.stat(path)
    is_pipe = stat.S_ISFIFO(status.st_mode)
    stream = _Raw(_pipe(path) if is_pipe else path, str(path))
    if stat.S_ISCHR(status.st_mode) and not stream.isatty() and status.st_rdev != os.stat(os.devnull).st_rdev:
        stream.close()
        raise ConfigError(f"{path}: is a device, expected a file")
    return io.BufferedReader(stream)


def _pipe(path: str | Path) -> int:
    """A handle of a named pipe, which the system gives when both ends are open."""
    found: list[int] = []
    given_up = threading.Event()

    def wait() -> None:
        handle = os.open(path, os.O_RDONLY)
        if given_up.is_set():
            os.close(handle)
        else:
            found.append(handle)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(PIPE_SECONDS)
    if not found:
        given_up.set()
        # lets go of the thread
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        raise ConfigError(f"{path}: is a named pipe that nobody writes to; start what writes to it first")
    return found[0]


def read_bounded(path: str | Path) -> bytes:
    """A small file as a whole.

    Raises:
        OSError, ConfigError: as of `opened`, and for a file of more than `LONGEST_TEXT` bytes.
    """
    with opened(path) as stream:
        content = stream.read(LONGEST_TEXT + 1)
    if len(content) > LONGEST_TEXT:
        raise ConfigError(f"{path}: is longer than {LONGEST_TEXT >> 20} MiB, too long for a file of settings or a text")
    return content


def regular(path: str | Path) -> IO[bytes]:
    """A binary stream of a file that has a size and can be read again.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device or the like.
    """
    refuse_irregular(path)
    return opened(path)


def refuse_irregular(path: str | Path) -> None:
    """OSError where a path is a pipe, a device or the like; one that is not there yet is fine."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
