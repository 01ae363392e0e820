"""What systems have in ways of their own: locks, reading at a place of a file, files of one directory.

Linux and macOS have `fcntl`, `pread` and handles of directories. Windows has `msvcrt` and none of these; what is there
decides, not the name of the system.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:
    # Windows
    fcntl = None  # type: ignore[assignment]

BINARY = getattr(os, "O_BINARY", 0)
"""Windows changes line ends without it."""
PAUSE = 0.1
"""Seconds between two tries for a lock that another process holds."""
LOCKED_BYTE = (1 << 31) - 2
"""The byte that stands for a whole file on Windows, the last that can be: a locked byte cannot be read."""
_reading = threading.Lock()


def lock(handle: int, *, wait: bool = False) -> None:
    """Lock an open file against other handles of it, in this process or in others; closing the handle unlocks it.

    Args:
        handle: a file descriptor.
        wait: whether to wait for who holds the lock.

    Raises:
        BlockingIOError: another handle holds the lock, and it is not waited for.
    """
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return
    while not _locked_by_msvcrt(handle):
        if not wait:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        time.sleep(PAUSE)


def _locked_by_msvcrt(handle: int) -> bool:
    msvcrt = importlib.import_module("msvcrt")
    place = os.lseek(handle, 0, os.SEEK_CUR)
    try:
        os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except PermissionError:
        return False
    finally:
        os.lseek(handle, place, os.SEEK_SET)
    return True


def remove_locked(path: Path, close: Callable[[], object]) -> None:
    """Remove the file of a lock that is held, and let go of the lock by closing its handle.

    It is unlinked while it is locked, so that whoever opened it before sees that it is gone. Windows removes no open
    file: there it is closed first, and stays where another process has it open by then.
    """
    if fcntl is not None:
        path.unlink(missing_ok=True)
        close()
        return
    close()
    with contextlib.suppress(OSError):
        path.unlink()


def read_at(handle: int, size: int, start: int) -> bytes:
    """Read from a place on; threads may read from one handle at once.

    Args:
        handle: of an open file.
        size: bytes at most.
        start: the place, in bytes.

    Returns:
        What is there; fewer bytes at the end of the file.
    """
    if hasattr(os, "pread"):
        return os.pread(handle, size, start)
    with _reading:
        os.lseek(handle, start, os.SEEK_SET)
        return os.read(handle, size)


@contextlib.contextmanager
def directory(path: str | Path) -> Iterator[Callable[[str], int]]:
    """Open files of one directory, by name, for reading: no link is followed, no pipe waited for.

    Where there are handles of directories all files are of the same one, even when another has its name meanwhile.

    Yields:
        A function from a name to a file descriptor, which the caller closes; it raises OSError.

    Raises:
        OSError: the directory cannot be opened.
    """
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield lambda name: os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
        finally:
            os.close(handle)
        return
    # raises what is wrong with the path
    os.scandir(path).close()
    yield lambda name: _open_no_link(Path(path) / name)


def _open_no_link(path: Path) -> int:
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path.name)
    try:
        return os.open(path, os.O_RDONLY | BINARY)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path.name) from None


def sync(path: Path) -> None:
    """Have the system write a file, or a directory where it has handles of them, to the disk."""
    has_directories = hasattr(os, "O_DIRECTORY")
    if path.is_dir() and not has_directories:
        return
    # Windows writes only what is open for writing
    handle = os.open(path, os.O_RDONLY if has_directories else os.O_RDWR | BINARY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
