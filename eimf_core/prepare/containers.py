"""Files that are packed, or whose text has another form: a readable copy in the scratch folder, or what the file is.

gzip is read as it is. Files behind an address, zip and tar archives, zstd, xz and bz2, sheets of Excel, UTF-16 and
lines that are nearly JSON are written once more. Everything else that is no text is refused by its name.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import lzma
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import files, raw_files
from eimf_core.prepare import archives, json_dialects, log_files, remote, workbook

START_BYTES = 1 << 12
ZIP = b"PK\x03\x04"
TAR_AT, TAR = 257, b"ustar"


@contextlib.contextmanager
def _zstd(path: Path) -> Iterator[Any]:
    # a part of Python itself from 3.14 on
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        with zstd.open(path) as stream:
            yield stream
    except zstd.ZstdError as error:
        raise ValueError(error) from None


STREAMS: dict[bytes, tuple[str, Callable[[Path], Any]]] = {
    b"\xfd7zXZ\0": (".xz", lzma.open),
    b"BZh": (".bz2", bz2.open),
    b"\x28\xb5\x2f\xfd": (".zst", _zstd),
}
"""First bytes of a packed file: the ending of its name, and what unpacks it."""
CSV = "write the table as CSV or Parquet"
EXPORT = "export the table as CSV"
NO_TEXT = (
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (b"\x93NUMPY", "a NumPy array", CSV),
    (b"\x89HDF", "an HDF5 file", CSV),
    (b"MATLAB 5.0", "a MATLAB file", CSV),
    (b"X\n\0\0\0", "an R data file", CSV),
    (b"RDX", "an R data file", CSV),
    (b"ARROW1", "an Arrow file", "write it as Parquet"),
    (b"FEA1", "a Feather file", "write it as Parquet"),
    (b"Obj\x01", "an Avro file", CSV),
    (b"ORC", "an ORC file", CSV),
    (b"7z\xbc\xaf", "a 7z archive", archives.UNPACK),
    (b"Rar!", "a RAR archive", archives.UNPACK),
    (b"\x1f\x9d", "packed with compress (.Z)", archives.UNPACK),
    (b"\x04\x22\x4d\x18", "packed with lz4", archives.UNPACK),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", "save the sheet as CSV"),
    (b"%PDF", "a PDF", EXPORT),
)
"""First bytes of a file that is no text, what it is, and what to do."""
PICKLE = re.compile(rb"\x80[\x02-\x05]")
POINTER = re.compile(rb"version https://git-lfs\S*\s+oid (\S+)\s+size (\d+)")
XML = re.compile(rb"\s*<(\?xml\b|[a-z][\w:.-]*(\s[^<>]*)?>\s*<[a-z!])", re.IGNORECASE)
TABLE = re.compile(rb"\s*<table\b", re.IGNORECASE)
WEB_PAGE = re.compile(rb"\s*<(!doctype\s+html|html|head|body|meta|style)\b", re.IGNORECASE)
SQL = re.compile(
    # behind comments, which are not gone over again
    rb"\s*+(?>--[^\n]*\n\s*+|/\*[^*]*\*/;?\s*+)*+"
    rb"((DROP|CREATE|LOCK|ALTER)\s+(TABLES?|DATABASE)\b|INSERT\s+(INTO|IGNORE)\b|COPY\s+[^\s(]+\s*\([^)]*\)\s+FROM\s"
    rb"|BEGIN TRANSACTION;|PRAGMA\s|SET\s+[@a-z_]+\s*=|\\restrict\s)",
    re.IGNORECASE,
)
ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def readable(path: Path, scratch: Path, name: str) -> Path:
    """The file itself, or what it holds in the scratch folder: one file, or a folder where it is an archive of several.

    Args:
        path: a file as it was given.
        scratch: where a copy may lie.
        name: how errors call the file.

    Returns:
        The path that is read.

    Raises:
        ConfigError: when it cannot be opened.
        InputError: for a file that is no text and cannot be unpacked; it says what the file is.
    """
    if found := remote.address(path):
        return readable(remote.fetched(found, fresh_folder(scratch)), scratch, name)
    if files.is_device(path):
        path = _from_pipe(path, scratch, name)
    raw = _start(path, files.open_bytes)
    if raw.startswith(ZIP):
        return _from_archive(path, scratch, name, archives.unzip)
    for magic, (ending, unpack) in STREAMS.items():
        if raw.startswith(magic):
            return readable(_unpacked(path, scratch, name, ending, unpack), scratch, name)
    start = _start(path, files.open_bytes)
    if start[TAR_AT:].startswith(TAR):
        return _from_archive(path, scratch, name, archives.untar)
    encoding = _encoding(start)
    if encoding:
        return readable(_as_utf8(path, scratch, name, encoding), scratch, name)
    if not start.startswith(log_files.PARQUET):
        _refuse(start, name)
    convert = json_dialects.convert_of(start, whole=len(start) < START_BYTES)
    return (
        json_dialects.as_json(path, fresh_folder(scratch) / path.name.removesuffix(".gz"), convert) if convert else path
    )


def _from_pipe(path: Path, scratch: Path, name: str) -> Path:
    """A copy of what comes through a named pipe, which can be read only once."""
    if not path.is_fifo():
        raise ConfigError(f"{name}: is a device, expected a file")
    target = fresh_folder(scratch) / path.name
    with raw_files.opened(path) as stream, open(target, "wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
    return target


def _start(path: Path, open_file: Callable[[Path], contextlib.AbstractContextManager[IO[bytes]]]) -> bytes:
    with open_file(path) as stream:
        return stream.read(START_BYTES)


def fresh_folder(scratch: Path) -> Path:
    """An empty folder in the scratch folder."""
    return Path(tempfile.mkdtemp(dir=scratch, prefix="unpacked-"))


def _refuse(start: bytes, name: str) -> None:
    """InputError for what is no text; it says what it is."""
    for magic, what, way in NO_TEXT:
        if start.startswith(magic):
            raise InputError(f"is {what}, which is not read; {way}", file=name)
    if PICKLE.match(start):
        raise InputError(
            "is a Python pickle, which is not read because it can run code; where you trust it, write it as CSV, "
            "such as with pandas.read_pickle and to_csv",
            file=name,
        )
    pointer = POINTER.match(start)
    if pointer:
        oid, size = pointer[1].decode(), int(pointer[2])
        raise InputError(
            f"is a Git LFS pointer ({oid}, {size:,} bytes), not the data; fetch it with git lfs pull", file=name
        )
    if TABLE.match(start):
        raise InputError(
            "is a table in HTML, which is not read; open it in a spreadsheet and save it as CSV", file=name
        )
    if WEB_PAGE.match(start):
        raise InputError("is a web page, not the data; get the file itself", file=name)
    if XML.match(start):
        raise InputError(f"is XML, which is not read; {CSV}", file=name)
    if SQL.match(start):
        raise InputError(f"is a dump in SQL, which is not read; {EXPORT}", file=name)
    if start.count(b"\0") * 1000 > len(start):
        raise InputError("is no text that is known (it holds NUL bytes); write the log as CSV in UTF-8", file=name)


def _encoding(start: bytes) -> str:
    """The encoding of a text that is UTF-16 or UTF-32, with its mark or without; empty for others."""
    for mark, encoding in ENCODINGS:
        if start.startswith(mark):
            return encoding
    half = max(len(start) // 2, 1)
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        # letters, digits and delimiters have a zero in every second byte
        if start[first::2].count(b"\0") > 0.9 * half and start[1 - first :: 2].count(b"\0") < 0.01 * half:
            return encoding
    return ""


def _as_utf8(path: Path, scratch: Path, name: str, encoding: str) -> Path:
    target = fresh_folder(scratch) / path.name
    try:
        with files.open_bytes(path) as raw, open(target, "w", encoding="utf-8", newline="") as copy:
            shutil.copyfileobj(codecs.getreader(encoding)(raw), copy, 1 << 20)
    except UnicodeError as error:
        raise InputError(f"is not whole {encoding.upper()} ({error})", file=name) from None
    return target


def _unpacked(path: Path, scratch: Path, name: str, ending: str, unpack: Callable[[Path], Any]) -> Path:
    """An unpacked copy of a file, without the ending of its name."""
    target = fresh_folder(scratch) / path.name.removesuffix(ending)
    try:
        with unpack(path) as stream, files.named_when_full(target), open(target, "wb") as copy:
            archives.copied(stream, copy, archives.bound_of(path, name))
    except (EOFError, lzma.LZMAError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"broken {ending[1:]} stream ({error}); get the file again", file=name) from None
    return target


def _from_archive(path: Path, scratch: Path, name: str, extract: Callable[[Path, Path, str], None]) -> Path:
    """The one file of an archive, or the folder of several."""
    folder = fresh_folder(scratch)
    try:
        extract(path, folder, name)
    except RuntimeError as error:
        raise InputError(f"is an archive that cannot be unpacked ({error}); {archives.UNPACK}", file=name) from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"broken archive ({error}); get the file again", file=name) from None
    if (folder / "content.xml").exists() and (folder / "mimetype").exists():
        raise InputError("is a document of OpenOffice, which is not read; save the sheet as CSV", file=name)
    if (folder / "xl" / "workbook.xml").exists():
        folder = fresh_folder(scratch)
        workbook.sheet_as_csv(path, folder, name)
    held = [each for each in archives.members(folder) if not _is_remark(each)]
    if not held:
        raise InputError("is an archive without a file", file=name)
    if all(each.suffix == ".npy" for each in held):
        raise InputError(f"is a NumPy archive (.npz), which is not read; {CSV}", file=name)
    if len(held) == 1:
        return readable(held[0], scratch, f"{name}/{held[0].name}")
    while len(inside := [*folder.iterdir()]) == 1 and inside[0].is_dir():
        folder = inside[0]
    return folder


def _is_remark(path: Path) -> bool:
    """Whether a file is about the data, by its name."""
    return path.stem.lower() in ("readme", "license", "licence") or path.suffix in (".md", ".pdf", ".html")
