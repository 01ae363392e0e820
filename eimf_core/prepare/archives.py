"""Archives and packed streams, unpacked within bounds: a file of a few kilobytes may hold petabytes of zeros."""

from __future__ import annotations

import itertools
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from eimf_core import files
from eimf_core.errors import InputError

MOST_MEMBERS = 10_000
"""Files of a folder or an archive that are looked at."""
LARGEST_RATIO, SMALL = 200, 1 << 30
"""What is packed may become so many times as large as its file, and a gigabyte in any case; text packs 3 to 20
times."""
UNPACK = "unpack it first"


def copied(stream: IO[bytes], copy: IO[bytes], packed: Path, name: str, done: int = 0) -> int:
    """Copy a stream that is unpacked; InputError where it gets far larger than text does.

    Returns the bytes that are unpacked of the file so far, `done` of them before.
    """
    most = max(SMALL, LARGEST_RATIO * packed.stat().st_size)
    while part := stream.read(1 << 20):
        done += len(part)
        if done > most:
            raise InputError(
                f"becomes more than {most:,} bytes when it is unpacked, {LARGEST_RATIO} times as many as it has, which "
                f"no log does; where you trust it, {UNPACK}",
                file=name,
            )
        copy.write(part)
    return done


def _refuse_many(number: int, name: str) -> None:
    if number >= MOST_MEMBERS:
        raise InputError(f"is an archive of more than {MOST_MEMBERS:,} files; {UNPACK}", file=name)


def _place(folder: Path, member: str) -> Path | None:
    """Where a member of an archive goes, whose folder is made; None for a name that leads out of the folder."""
    parts = [part for part in member.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in member:
        return None
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def unzip(path: Path, folder: Path, name: str) -> None:
    """Unpack a zip archive; InputError where it gets far larger than text does, or holds very many files."""
    done = 0
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.infolist()):
            _refuse_many(number, name)
            target = _place(folder, member.filename)
            if target is None or member.is_dir():
                continue
            with archive.open(member) as stream, open(target, "wb") as copy:
                done = copied(stream, copy, path, name, done)


def untar(path: Path, folder: Path, name: str) -> None:
    """The same for a tar archive; links and devices are left out."""
    done = 0
    with files.open_bytes(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            _refuse_many(number, name)
            target = _place(folder, member.name)
            unpacked = archive.extractfile(member) if member.isreg() else None
            if target is not None and unpacked is not None:
                with unpacked, open(target, "wb") as copy:
                    done = copied(unpacked, copy, path, name, done)


def members(folder: Path) -> list[Path]:
    """The files in a folder and below it, without hidden ones and what macOS adds."""
    found = sorted(itertools.islice(_files_below(folder), MOST_MEMBERS))
    return [path for path in found if not any(part[0] == "." or part == "__MACOSX" for part in _parts(path, folder))]


def _files_below(folder: Path) -> Iterator[Path]:
    """All files; folders that may not be read are passed over."""
    for place, _, names in os.walk(folder):
        yield from (path for name in names if os.path.isfile(path := Path(place, name)))


def _parts(path: Path, folder: Path) -> tuple[str, ...]:
    return path.relative_to(folder).parts
