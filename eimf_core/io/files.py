"""Files as a whole: opened for reading, hashed, written atomically and locked.

Directories are replaced in `directories`. What may be written over, and how the outputs of a command appear together,
is in `outputs`.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import raw_files, system_files, unpacking

BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a broken gzip stream raises."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says of a file that cannot grow; it does not say which."""


def sha256(path: str | Path) -> str:
    """Hex digest of a file's content; ConfigError for a path that cannot be read."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from None


@contextlib.contextmanager
def open_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary stream of a file, unpacked when it is gzip; "-" is stdin.

    Raises:
        ConfigError: for a path that cannot be opened.
        InputError: in the block, where the gzip stream is broken, or becomes far larger than text does.
    """
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        raw = raw_files.opened(path)
    except OSError as error:
        raise unreadable(path, error) from None
    with raw:
        if raw.peek(2)[:2] == b"\x1f\x8b":
            try:
                with unpacking.gunzipped(raw, path) as unpacked:
                    yield unpacked
            except BROKEN_GZIP as error:
                raise broken_gzip(path, error) from None
        else:
            yield raw


def broken_gzip(name: object, error: object, *, line: int | None = None) -> InputError:
    """The error for a gzip stream that is damaged or cut off.

    Args:
        name: of the file.
        error: what the reader said.
        line: where that was seen, from 1, if it is known.

    Returns:
        The error, to be raised.
    """
    problem = f"broken gzip stream ({error}); the file is damaged or cut off, get it again"
    return InputError(problem, file=name, line=line)


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
    stays as it was. A link stays, and the file that it leads to is replaced. What is no file, such as
    /dev/null or a named pipe, is written to as it is; "-" is stdout.

    Raises:
        ConfigError: for a path that cannot be written.
    """
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if is_device(path):
        try:
            # of /dev/stdout, which the shell may have opened to append
            handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
        with named_when_full(path), os.fdopen(handle, "wb") as stream:
            yield stream
        return
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        yield stream


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """As `atomic`, with the path of the temporary file in place of a stream: for libraries that write to a path."""
    target = resolved(path)
    if target.is_dir():
        raise ConfigError(f"{path}: is a directory, expected a file to write")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=".tmp")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
    os.close(handle)
    try:
        with named_when_full(path):
            yield Path(name)
            system_files.sync(Path(name))
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def named_when_full(path: str | Path) -> Iterator[None]:
    """Let the OSError of a file that cannot grow name it."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)
        raise


_copies: dict[str, str] = {}


@contextlib.contextmanager
def readable_again(path: str | Path) -> Iterator[Path]:
    """A file that can be read several times: for "-" a copy of stdin, gone when the block ends."""
    if str(path) != "-":
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="eimf-") as folder:
        copy = Path(folder) / "stdin.jsonl"
        with open(copy, "wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        with shown_as(copy, "-"):
            yield copy


@contextlib.contextmanager
def shown_as(path: Path, name: str) -> Iterator[None]:
    """Let provenance and errors name a file, or those of a folder, otherwise than by a place that is soon gone."""
    before = _copies.get(str(path))
    _copies[str(path)] = name
    try:
        yield
    except InputError as error:
        if error.file is None or name_of(error.file) == error.file:
            raise
        raise InputError(error.problem, file=name_of(error.file), line=error.line, field=error.field) from None
    finally:
        if before is None:
            del _copies[str(path)]
        else:
            _copies[str(path)] = before


def name_of(path: str | Path) -> str:
    """What a file that was read is called: its path, but for copies of stdin."""
    text = str(path)
    for copy, name in _copies.items():
        if text == copy or text.startswith(f"{copy}{os.sep}"):
            return name + text[len(copy) :]
    return text


def resolved(path: str | Path) -> Path:
    """Where a path leads through links.

    Raises:
        ConfigError: for links that lead to each other.
    """
    found = Path(os.path.realpath(path))
    if found.is_symlink():
        raise ConfigError(f"{path}: leads through links to itself; name a file or a folder")
    return found


def is_device(path: str | Path) -> bool:
    """Whether a path is a device, a pipe, or an open file such as /dev/stdout: nothing to put another file in."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _is_open_file(path)


def _is_open_file(path: str | Path) -> bool:
    """Whether a path leads through one of the links that the system has for the open files of a process."""
    name = os.path.abspath(path)
    while os.path.islink(name):
        with contextlib.suppress(OSError):
            if os.lstat(name).st_dev == os.stat("/proc/self/fd").st_dev:
                return True
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    return False


def _prefix(target: Path) -> str:
    """How the names of temporary files and folders of an output begin; they lie beside it."""
    return f".{target.name}."


def temporary_entries(path: str | Path) -> list[Path]:
    """Temporary files and folders of an output that a killed process left; only for the holder of its lock."""
    target = resolved(path)
    name = re.compile(re.escape(_prefix(target)) + r"[a-z0-9_]{8}\.tmp")
    return sorted(entry for entry in target.parent.glob(".*.tmp") if name.fullmatch(entry.name))


def remove_leftovers(path: str | Path) -> None:
    """Remove what `temporary_entries` finds."""
    for entry in temporary_entries(path):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside an output, gone when the block ends.

    Raises:
        ConfigError: for a path that cannot be written.
    """
    target = resolved(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target), suffix=".tmp"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(output: str | Path) -> Iterator[None]:
    """Hold the lock of an output in the block.

    The lock is on `.NAME.lock` beside the output and ends with the process, however it ends. The
    file is removed by the process that made it last, and folders that were made for it are where nothing was written.

    Raises:
        ConfigError: when another process is writing the output, or its folder cannot be written.
    """
    target = resolved(output)
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
        system_files.remove_locked(path, lambda: os.close(handle))
        with contextlib.suppress(OSError):
            for folder in new:
                folder.rmdir()


def _open_and_lock(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            system_files.lock(handle)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(handle).st_ino == path.stat().st_ino:
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
