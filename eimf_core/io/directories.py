"""Directories that are replaced in one step."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from eimf_core.errors import ConfigError
from eimf_core.io import files, system_files


@contextlib.contextmanager
def replaced(path: str | Path, *, keep: Path | None = None) -> Iterator[Path]:
    """A fresh directory beside `path` that takes its place when the block ends without exception.

    For the holder of its lock. A reader that opened the old directory keeps its old files. Where the system can
    exchange two names in one step (Linux) there is always one of the two. A link stays, and the directory that it
    leads to is replaced.

    Args:
        path: the directory.
        keep: a name beside it for the old one, which takes the place of what was kept there before; without it the
            old one is removed.

    Raises:
        ConfigError: for a path that is a file or cannot be written.
    """
    target = files.resolved(path)
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{path}: is a file, expected a directory to write")
    files.remove_leftovers(path)
    with files.temporary_folder(path) as folder:
        # of its own inside the scratch folder, where the directory that is to be removed ends up
        fresh = folder / "fresh"
        fresh.mkdir(mode=0o777)
        with files.named_when_full(path):
            yield fresh
            for entry in fresh.rglob("*"):
                system_files.sync(entry)
            system_files.sync(fresh)
        if keep is not None and target.exists():
            # in two steps, after each of which the old one is whole at one of the names
            _put(fresh, keep)
            fresh = keep
        _put(fresh, target)
        system_files.sync(target.parent)


def _put(directory: Path, target: Path) -> None:
    """Move a directory to a name; what had the name before is at the old place of the directory afterwards."""
    if target.exists():
        _exchange(directory, target)
    else:
        directory.rename(target)


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
    except (OSError, AttributeError, TypeError):
        # the last on Windows
        pass
    aside = first.with_name(first.name + ".old")
    second.rename(aside)
    first.rename(second)
    aside.rename(first)
