"""The files of a log: arguments to paths, and the first lines of each, unpacked, to tell formats apart."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from eimf_core import jsonl
from eimf_core.errors import InputError

HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Source:
    """One file. `name` is how messages call it, `head` its first non-empty lines."""

    path: Path
    name: str
    head: tuple[str, ...]

    @property
    def stem(self) -> str:
        """The file name without .gz or .zst, in lower case: what formats look at."""
        return self.path.name.lower().removesuffix(".gz").removesuffix(".zst")


def probe(path: Path) -> Source:
    """Look into a file; ConfigError when it cannot be opened, InputError when it is empty or broken."""
    with reading(path) as stream:
        start = stream.read(HEAD_BYTES)
    text = decoded(start)
    # the last line is probably cut
    lines = text.splitlines() if len(start) < HEAD_BYTES else text.splitlines()[:-1] or [text]
    head = tuple(line for line in lines if line.strip())
    if not head:
        raise InputError("is empty; expected a log of interactions", file=path)
    return Source(path=path, name=str(path), head=head)


def decoded(raw: bytes) -> str:
    """UTF-8 if it is, else ISO-8859-1 (the old published sets); a cut last character does not matter."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(raw) - 3 and error.start > 0:
            return raw[: error.start].decode("utf-8-sig")
        return raw.decode("iso-8859-1")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """The unpacked bytes of a file; a broken gzip stream is an InputError wherever it shows."""
    try:
        with jsonl.open_bytes(path) as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"broken gzip stream ({error})", file=path) from None


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not blank, in the file's encoding."""
    with reading(path) as stream:
        encoding = "utf-8"
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode(encoding)
            except UnicodeDecodeError:
                # once a line is not UTF-8 the file is ISO-8859-1
                encoding = "iso-8859-1"
                line = raw.decode(encoding)
            if number == 1:
                line = line.removeprefix("\N{BYTE ORDER MARK}")
            if line.strip():
                yield number, line.rstrip("\r\n")
