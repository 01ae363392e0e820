"""Archives and packed streams, unpacked within bounds: a file of a few kilobytes may hold petabytes of zeros."""

from __future__ import annotations

import itertools
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from eimf_core.errors import InputError
from eimf_core.io import files, unpacking

MAX_MEMBERS = 10_000
"""Files of a folder or an archive that are looked at."""
UNPACK = "unpack it first"


def copied(stream: IO[bytes], copy: IO[bytes], bound: unpacking.Bound) -> None:
    """Copy a stream that is unpacked, within a bound for all that its file holds.

    Args:
        stream: what is unpacked.
        copy: where it goes.
        bound: counts the bytes, and raises InputError when there are too many.
    """
    while part := stream.read(1 << 20):
        bound.add(len(part))
        copy.write(part)


def bound_of(path: Path, name: str) -> unpacking.Bound:
    """The bound of what a packed file may become."""
    return unpacking.Bound(path.stat().st_size, name)


def _refuse_many(number: int, name: str) -> None:
    if number >= MAX_MEMBERS:
        raise InputError(f"is an archive of more than {MAX_MEMBERS:,} files; {UNPACK}", file=name)


def _place(folder: Path, member: str) -> Path | None:
    """Where a member of an archive goes, whose folder is made; None for a name that leads out of the folder."""
    parts = [part for part in member.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in member:
        return None
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def unzip(path: Path, folder: Path, name: str) -> None:
    """Unpack a zip archive.

    Args:
        path: of the archive.
        folder: where its files go.
        name: what errors call it.

    Raises:
        InputError: it gets far larger than text does, or holds very many files.
    """
    bound = bound_of(path, name)
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.infolist()):
            _refuse_many(number, name)
            target = _place(folder, member.filename)
            if target is None or member.is_dir():
                continue
            with archive.open(member) as stream, open(target, "wb") as copy:
                copied(stream, copy, bound)


def untar(path: Path, folder: Path, name: str) -> None:
    """Unpack a tar archive; links and devices are left out.

    Args:
        path: of the archive.
        folder: where its files go.
        name: what errors call it.

    Raises:
        InputError: as `unzip`.
    """
    bound = bound_of(path, name)
    with files.open_bytes(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            _refuse_many(number, name)
            target = _place(folder, member.name)
            unpacked = archive.extractfile(member) if member.isreg() else None
            if target is not None and unpacked is not None:
                with unpacked, open(target, "wb") as copy:
                    copied(unpacked, copy, bound)


def members(folder: Path) -> list[Path]:
    """The files in a folder and below it, without hidden ones and what macOS adds."""
    found = sorted(itertools.islice(_files_below(folder), MAX_MEMBERS))
    return [path for path in found if not any(part[0] == "." or part == "__MACOSX" for part in _parts(path, folder))]


def _files_below(folder: Path) -> Iterator[Path]:
    """All files; folders that may not be read are passed over."""
    for place, _, names in os.walk(folder):
        yield from (path for name in names if os.path.isfile(path := Path(place, name)))


def _parts(path: Path, folder: Path) -> tuple[str, ...]:
    return path.relative_to(folder).parts
