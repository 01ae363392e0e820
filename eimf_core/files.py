"""Files as a whole: opened for reading, hashed, written atomically and locked; directories replaced in one step."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from eimf_core.errors import ConfigError


def sha256(path: str | Path) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def open_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary stream of a file, unpacked when it is gzip; "-" is stdin.

    Raises:
        ConfigError: for a path that cannot be opened.
    """
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        raw = open(path, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise unreadable(path, error) from None
    with raw:
        if raw.peek(2)[:2] == b"\x1f\x8b":
            with gzip.open(raw, "rb") as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield raw


def unreadable(path: str | Path, error: OSError) -> ConfigError:
    """The error for a path on the command line that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"{path}: no such file")
    if isinstance(error, IsADirectoryError):
        return ConfigError(f"{path}: is a directory, expected a file")
    return ConfigError(f"{path}: cannot be read ({error.strerror})")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary stream whose content replaces `path` when the block ends without an exception.

    The temporary file lies in the same folder; on any exception it is removed and the old content
    stays as it was. What is no file, such as /dev/null or a named pipe, is written to as it is.

    Raises:
        ConfigError: for a path that cannot be written.
    """
    if is_device(path):
        try:
            handle = os.open(path, os.O_WRONLY)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
        with os.fdopen(handle, "wb") as stream:
            yield stream
        return
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        yield stream


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """As `atomic`, with the path of the temporary file in place of a stream: for libraries that write to a path."""
    target = Path(path)
    if target.is_dir():
        raise ConfigError(f"{path}: is a directory, expected a file to write")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
    os.close(handle)
    try:
        yield Path(name)
        sync(Path(name))
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def is_device(path: str | Path) -> bool:
    """Whether a path is a device, a pipe or the like: nothing that another file may take the place of."""
    target = Path(path)
    return target.exists() and not target.is_dir() and (not target.is_file() or str(path).startswith("/dev/"))


def refuse_input_as_output(output: str | Path, inputs: Iterable[str | Path | None]) -> None:
    """ConfigError when an output is one of the files that are read, which would be gone."""
    if str(output) == "-" or is_device(output):
        return
    if Path(output).resolve() in {Path(path).resolve() for path in inputs if path is not None and str(path) != "-"}:
        raise ConfigError(f"{output}: is an input and would be overwritten; choose another output")


@contextlib.contextmanager
def locked(output: str | Path) -> Iterator[None]:
    """Hold the lock of an output in the block.

    The lock is on `.NAME.lock` beside the output and ends with the process, however it ends. The
    file is removed by the process that made it last, and folders that were made for it are where nothing was written.

    Raises:
        ConfigError: when another process is writing the output, or its folder cannot be written.
    """
    target = Path(output)
    if is_device(output):
        # several may write to a device or a pipe
        yield
        return
    path = target.with_name(f".{target.name}.lock")
    new = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = _open_and_lock(path)
    except BlockingIOError:
        raise ConfigError(f"{output}: is being written by another process; wait for it or choose another") from None
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        # unlinked while still locked: whoever opened it before sees that it is gone and tries again
        path.unlink(missing_ok=True)
        os.close(handle)
        with contextlib.suppress(OSError):
            for folder in new:
                folder.rmdir()


def _open_and_lock(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(handle).st_ino == path.stat().st_ino:
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextlib.contextmanager
def replaced_directory(path: str | Path) -> Iterator[Path]:
    """A fresh directory beside `path` that takes its place when the block ends without exception.

    A reader that opened the old directory keeps its old files. Where the system can exchange two
    names in one step (Linux) there is always one of the two.

    Raises:
        ConfigError: for a path that is a file or cannot be written.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{path}: is a file, expected a directory to write")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        fresh.chmod(0o777 & ~_umask())
        yield fresh
        for entry in fresh.rglob("*"):
            sync(entry)
        sync(fresh)
        if target.exists():
            _exchange(fresh, target)
            shutil.rmtree(fresh, ignore_errors=True)
        else:
            fresh.rename(target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def sync(path: Path) -> None:
    """Have the system write a file or a directory to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(first: Path, second: Path) -> None:
    """Swap two names; with renameat2(RENAME_EXCHANGE) where the system has it."""
    import ctypes

    at_working_directory, rename_exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        if (
            renameat2(
                at_working_directory, os.fsencode(first), at_working_directory, os.fsencode(second), rename_exchange
            )
            == 0
        ):
            return
    except (OSError, AttributeError):
        pass
    aside = first.with_name(first.name + ".old")
    second.rename(aside)
    first.rename(second)
    aside.rename(first)
