"""The files of a log: arguments to paths, and the first lines of each, unpacked, to detect formats."""

from __future__ import annotations

import codecs
import contextlib
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import files, jsonl, sql_text
from eimf_core.prepare import published_sets
from eimf_core.prepare.value_parsing import BLANKS

HEAD_BYTES = 1 << 16
HEAD_LINES = 200
STEP = 1 << 20
"""Bytes that are looked at together."""
MAX_BLANK = 1_000_000
"""Lines without text in a row; what is packed may hold any number of them."""
PARQUET = b"PAR1"
GZIP = b"\x1f\x8b"
NO_DELIMITER = "\x02\x03\x02\x03"
"""What stands in no text."""
LINE_END = re.compile(r"\r\n|\n|\r")
NOT_UTF8 = "is not UTF-8; convert the file first, such as with iconv -f iso-8859-1 -t utf-8"


@dataclass(frozen=True)
class Source:
    """One file. `name` is how messages call it, `head` its first lines that are not blank (none of Parquet).

    Attributes:
        path: what is read; in the scratch folder where the file had to be unpacked first.
        given: the file on the disk of the user, where it is not `path`.
        folder: where files that belong to it are looked for, where it is not that of `path`.
        at: the numbers of the lines of `head` in the file, from 1.
        separator: what separates columns, where the file or the user says so.
        advice: what else may help where a column is not recognised.
    """

    path: Path
    name: str
    head: tuple[str, ...]
    parquet: bool = False
    given: Path | None = None
    folder: Path | None = None
    at: tuple[int, ...] = ()
    separator: str = ""
    advice: str = ""

    @property
    def before(self) -> int:
        """How many lines come before the first of `head`: blank ones, and others that are no rows."""
        return self.at[0] - 1 if self.at else 0

    @property
    def stem(self) -> str:
        """The file name without .gz, in lower case: what formats look at."""
        return self.path.name.lower().removesuffix(".gz")

    @property
    def given_path(self) -> Path:
        """The file on the disk of the user."""
        return self.given or self.path

    @property
    def beside(self) -> Path:
        """The folder where files that belong to this one are looked for."""
        return self.folder or self.given_path.parent

    @property
    def first(self) -> str:
        """The first line without blanks around it; empty for Parquet."""
        return self.head[0].strip() if self.head else ""

    @contextlib.contextmanager
    def advised(self) -> Iterator[None]:
        """Errors about columns end with the advice."""
        try:
            yield
        except InputError as error:
            problem = error.problem + self.advice
            raise InputError(problem, file=error.file, line=error.line, field=error.field) from None


def expand(argument: Path, scratch: Path) -> list[Path]:
    """The paths an argument stands for: itself, a pattern's matches, or stdin copied to a file."""
    if str(argument) == "-":
        target = scratch / "stdin"
        with open(target, "wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
        return [target]
    return matching(argument)


def matching(argument: Path) -> list[Path]:
    """The paths that an argument stands for: itself, or the files whose names a pattern fits.

    Raises:
        ConfigError: there is none.
    """
    if not argument.exists() and any(char in str(argument) for char in "*?["):
        anchor = Path(argument.anchor) if argument.anchor else Path()
        found = sorted(path for path in anchor.glob(str(argument.relative_to(anchor))) if path.is_file())
        if not found:
            raise ConfigError(f"{argument}: no file has such a name")
        return found
    if not argument.exists():
        raise ConfigError(f"{argument}: no such file or folder{published_sets.hint(str(argument))}")
    return [argument]


def probe(path: Path, name: str | None = None, *, skip: int = 0, wanted: str = "a log of interactions") -> Source:
    """Look into a file.

    Args:
        path: the file, maybe packed.
        name: what errors call it; None for its path.
        skip: lines at its beginning that are passed over.
        wanted: what it should hold, for the error of an empty one.

    Returns:
        The file with its first lines.

    Raises:
        ConfigError: when it cannot be opened, or its name is not UTF-8, which the sidecar could not hold.
        InputError: when it is empty or broken.
    """
    called = name or str(path)
    if not is_utf8(called):
        raise ConfigError(f"{called}: its name is not UTF-8; give the file another name")
    with files.open_bytes(path) as stream:
        start = stream.read(HEAD_BYTES)
    if start.startswith(PARQUET):
        return Source(path=path, name=called, head=(), parquet=True)
    lines = LINE_END.split(decoded(start))
    # the last line is probably cut
    lines = lines if len(start) < HEAD_BYTES else lines[:-1] or lines
    numbers = tuple(at for at, line in enumerate(lines, start=1) if at > skip and line.strip())[:HEAD_LINES]
    if not numbers:
        behind = f" behind its first {skip} lines" if skip else ""
        raise InputError(f"is empty{behind}; expected {wanted}", file=called)
    return Source(path=path, name=called, head=tuple(lines[at - 1] for at in numbers), at=numbers)


def decoded(raw: bytes) -> str:
    """UTF-8 if it is, else ISO-8859-1 (the old published sets); a cut last character does not matter."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(raw) - 3 and error.start > 0:
            return raw[: error.start].decode("utf-8-sig")
        return raw.decode("iso-8859-1")


def lines(path: Path, *, before: int = 0, latin: bool = True) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank.

    A line that is not UTF-8 makes the rest of the file ISO-8859-1 or, unless `latin`, keeps its
    bytes as surrogates, see `is_utf8`.

    Args:
        path: the file, maybe packed.
        before: lines at its beginning that are passed over.
        latin: whether it may be ISO-8859-1.

    Yields:
        Number, from 1, and text of a line.

    Raises:
        InputError: a line that is too long, and very many blank ones in a row.
    """
    with files.open_bytes(path) as stream:
        encoding, errors, last = "utf-8", "strict" if latin else "surrogateescape", before
        # a CR alone ends a line as well
        for number, raw in enumerate(_raw_lines(stream, path), start=1):
            try:
                line = raw.decode(encoding, errors)
            except UnicodeDecodeError:
                encoding = "iso-8859-1"
                line = raw.decode(encoding)
            if number == 1:
                line = line.removeprefix("\N{BYTE ORDER MARK}")
            if number > before and line.strip(BLANKS):
                last = number
                yield number, line.rstrip("\r\n")
            elif number - last > MAX_BLANK:
                raise InputError(f"more than {MAX_BLANK:,} lines without text in a row", file=path, line=last)


def _raw_lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """The lines of a stream, which end in LF, CR LF or CR; InputError for one that is too long."""
    number, rest = 0, b""
    while part := stream.readline(jsonl.LONGEST_LINE + 1):
        part, rest = rest + part, b""
        if len(part) > jsonl.LONGEST_LINE:
            # a file whose lines all end in CR is one line for the stream
            whole, end, rest = part.rpartition(b"\r")
            if len(rest) > jsonl.LONGEST_LINE:
                raise jsonl.too_long(path, number + 1)
            part = whole + end
        lines = part.splitlines() if b"\r" in part[:-2] else [part]
        number += len(lines)
        yield from lines
    if rest:
        yield rest


def is_utf8(text: str) -> bool:
    """Whether a line of `lines` was UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_utf8_file(path: Path) -> bool:
    """Whether a file is UTF-8 from end to end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with files.open_bytes(path) as stream:
        try:
            while part := stream.read(1 << 20):
                decoder.decode(part)
        except UnicodeDecodeError:
            return False
    return True


def text_lines(path: Path, before: int = 0) -> str:
    """SQL for the lines of a file that are not blank, behind the first `before`: the column `line`, in file order."""
    return f"(SELECT line FROM {_all_lines(path, before)} WHERE trim(line, E' \\t\\r') <> '')"


def _all_lines(path: Path, before: int = 0) -> str:
    """SQL for all lines of a file behind the first `before`, as the column `line`; null for an empty one."""
    return line_scan(
        sql_text.file(path), compression(path), f"skip = {before}, store_rejects = true, rejects_limit = 0"
    )


def line_scan(place: str, packed: str, *further: str) -> str:
    """SQL for the lines of a text, as the column `line`.

    Args:
        place: a path or an address, as an SQL literal.
        packed: gzip, zstd or none.
        further: arguments of read_csv.

    Returns:
        A call of read_csv.
    """
    options = ", ".join(
        [
            f"compression = '{packed}', auto_detect = false, header = false, delim = {sql_text.literal(NO_DELIMITER)}",
            "quote = '', escape = '', columns = {'line': 'VARCHAR'}, strict_mode = false",
            f"max_line_size = {jsonl.LONGEST_LINE}, buffer_size = {2 * jsonl.LONGEST_LINE}",
            *further,
        ]
    )
    return f"read_csv({place}, {options})"


def refuse_broken(source: Source) -> None:
    """InputError for a gzip stream that is damaged, cut off or becomes far too large, and for a line that is too long.

    DuckDB does not look at checksums or sizes, and leaves out the end of a file whose line does not fit its buffer.
    """
    if source.parquet:
        return
    length, read, is_json = 0, 0, source.first[:1] in ("[", "{")
    with files.shown_as(source.path, source.name), files.open_bytes(source.path) as stream:
        while part := stream.read(STEP):
            read += len(part)
            end = max(part.rfind(b"\n"), part.rfind(b"\r"))
            length = len(part) - 1 - end + (length if end < 0 else 0)
            if length > jsonl.LONGEST_LINE and not is_json:
                raise jsonl.too_long(source.name, 1 + _lines_among(source.path, read))


def _lines_among(path: Path, size: int) -> int:
    """How many lines end within the first bytes: to count takes longer than to look for the last."""
    count = 0
    with files.open_bytes(path) as stream:
        while size > 0 and (part := stream.read(min(STEP, size))):
            count, size = count + part.count(b"\n"), size - len(part)
    return count


def with_unix_line_ends(path: Path, target: Path) -> Path | None:
    """A copy whose lines all end in LF; None where there is no CR."""
    changed = False
    with files.open_bytes(path) as stream, open(target, "wb") as copy:
        while line := stream.readline(jsonl.LONGEST_LINE):
            changed = changed or line.endswith(b"\r\n")
            copy.write(line[:-2] + b"\n" if line.endswith(b"\r\n") else line)
    return target if changed else None


def compression(path: Path) -> str:
    """How a file is packed, by its first bytes, whatever its name: gzip or none."""
    try:
        with open(path, "rb") as stream:
            return "gzip" if stream.read(len(GZIP)) == GZIP else "none"
    except OSError as error:
        raise files.unreadable(path, error) from None
