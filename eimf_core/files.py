"""Files as a whole: hashes, locks on outputs, and directories that are replaced in one step."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from eimf_core import jsonl
from eimf_core.errors import ConfigError


def sha256(path: str | Path) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_input_as_output(output: str | Path, inputs: Iterable[str | Path | None]) -> None:
    """ConfigError when an output is one of the files that are read, which would be gone."""
    if str(output) == "-" or jsonl.special(output):
        return
    if Path(output).resolve() in {Path(path).resolve() for path in inputs if path is not None and str(path) != "-"}:
        raise ConfigError(f"{output}: is an input, which would be gone; choose another file as output")


@contextlib.contextmanager
def locked(output: str | Path) -> Iterator[None]:
    """Hold the lock of an output; ConfigError when another process is writing it.

    The lock is on `.NAME.lock` beside the output and ends with the process, however it ends. The
    file is removed by the process that made it last.
    """
    target = Path(output)
    if jsonl.special(output):
        # several may write to a device or a pipe
        yield
        return
    path = target.with_name(f".{target.name}.lock")
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
    names in one step (Linux) there is no moment without a directory.
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
            _sync(entry)
        _sync(fresh)
        if target.exists():
            _exchange(fresh, target)
            shutil.rmtree(fresh, ignore_errors=True)
        else:
            fresh.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _sync(path: Path) -> None:
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
