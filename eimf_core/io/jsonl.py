"""Read and write JSON lines: "-" for stdin and stdout, gzip, line numbers in errors, whole files.

`read` yields checked records. `writer` makes a file appear whole or not at all. `Journal` appends
finished records so that a killed run can resume.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import orjson

from eimf_core.errors import ConfigError, InputError, did_you_mean
from eimf_core.io import files, raw_files
from eimf_core.records import Record

R = TypeVar("R", bound=Record)
PLACE = re.compile(r": line \d+ column \d+ \(char (\d+)\)$")
"""Where in a line a parser of JSON stopped, in its words."""
ID_FIELDS = frozenset({"id", "user", "item", "items", "history", "targets", "exclude", "only"})
"""Fields of records whose values are ids, which other programs may write as numbers."""
ID_TYPES = (str, str | None, list[str], list[str] | None)
LONGEST_LINE = 16 << 20
"""Bytes of the longest line that is read; a user's whole history may stand on one, and what comes packed be endless."""
DEEPEST = 100
"""Levels of lists and objects within each other that a line may have; encoders give up at 254."""
UNKNOWN = re.compile("Object contains unknown field `(.*?)`", re.DOTALL)
"""What msgspec says of a field that a record must not have."""


def encode(record: Record) -> bytes:
    """One line of JSON with its newline; fields that are None are left out."""
    fields = {key: value for key, value in msgspec.to_builtins(record).items() if value is not None}
    line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    # what is None further inside is rare, and slow to look for
    return orjson.dumps(_without_none(fields), option=orjson.OPT_APPEND_NEWLINE) if b"null" in line else line


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value


def decode(line: bytes, kind: type[R], *, file: object, number: int) -> R:
    """The record on a line.

    Args:
        line: JSON, with or without its newline.
        kind: the record it should be; further fields are ignored, except in a Query.
        file, number: what an error names, the number counted from 1.

    Returns:
        The record, checked.

    Raises:
        InputError: for a line that is no such record; it names file, line and field.
    """
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{not_json(error)}; expected one {_called(kind)} a line", file=file, line=number) from None
    if line.count(b"[") + line.count(b"{") > DEEPEST and _depth(raw) > DEEPEST:
        raise InputError(f"more than {DEEPEST} lists or objects within each other", file=file, line=number)
    try:
        return msgspec.convert(raw, type=kind)
    except msgspec.ValidationError as error:
        if (with_ids := _numbers_as_ids(raw, kind)) != raw:
            return decode(orjson.dumps(with_ids), kind, file=file, number=number)
        unknown = UNKNOWN.match(str(error))
        if unknown is not None:
            known = [field.name for field in msgspec.structs.fields(kind)]
            near = did_you_mean(unknown[1], known) or f"; a {_called(kind)} has {', '.join(known)}"
            if meant := getattr(kind, "OPTION_NAMES", {}).get(unknown[1]):
                near = f"; the field is '{meant}'"
            raise InputError(f"unknown field '{unknown[1]}'{near}", file=file, line=number) from None
        field, problem = _field_and_problem(str(error))
        raise InputError(f"{problem} in a {_called(kind)}", file=file, line=number, field=field) from None


def _depth(raw: Any) -> int:
    level, depth = [raw], 0
    while level := [inner for inner in level if isinstance(inner, dict | list)]:
        level = [part for inner in level for part in (inner.values() if isinstance(inner, dict) else inner)]
        depth += 1
    return depth


def _called(kind: type[Record]) -> str:
    """The name of a record for people: of one that reads a part of a line, that of the whole line."""
    return getattr(kind, "LINE", kind.__name__)


def _numbers_as_ids(raw: Any, kind: type[R]) -> Any:
    """The object of a line with whole numbers in the fields of ids, text in a record of this kind, as text."""
    if not isinstance(raw, dict):
        return raw
    ids = {field.name for field in msgspec.structs.fields(kind) if field.name in ID_FIELDS and field.type in ID_TYPES}
    return {key: _as_id(value) if key in ids else value for key, value in raw.items()}


def _as_id(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_id(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
        return value
    return str(int(value))


def not_json(error: ValueError) -> str:
    """What is wrong with a line that is no JSON; the parser counts lines within it, which misleads."""
    if "UTF-8" in str(error):
        return "is not text in UTF-8"
    problem = PLACE.sub(lambda found: f" at character {int(found[1]) + 1}", str(error))
    return f"not a JSON object ({problem})"


def _field_and_problem(message: str) -> tuple[str | None, str]:
    """Split msgspec's "Expected `str`, got `int` - at `$.items[...]`" into field and problem."""
    problem, _, path = message.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".") or None
    problem = problem.replace("`", "'")
    if problem.startswith("Object missing required field '"):
        missing = problem.split("'")[1]
        return (f"{field}.{missing}" if field else missing), "is missing"
    return field, problem[0].lower() + problem[1:]


def read(path: str | Path, kind: type[R]) -> Iterator[R]:
    """Records of a file, or of stdin for "-".

    Args:
        path: gzip is recognised by its first bytes, whatever the name.
        kind: the record on each line; empty lines are skipped.

    Raises:
        ConfigError: for a path that cannot be opened.
        InputError: for a line that is no such record, a broken gzip stream, or a file without any line.
    """
    for _, record in read_numbered(path, kind):
        yield record


def too_long(path: object, number: int) -> InputError:
    """The error about a line of more than `LONGEST_LINE` bytes."""
    return InputError(f"the line is longer than {LONGEST_LINE >> 20} MiB", file=path, line=number)


def numbered_lines(stream: IO[bytes], path: object) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream with their numbers from 1; InputError for one of more than `LONGEST_LINE` bytes."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise too_long(path, number)
        yield number, line


def read_numbered(path: str | Path, kind: type[R]) -> Iterator[tuple[int, R]]:
    """As `read`, with the line number (from 1) of each record, for errors found later."""
    number = 0
    found = False
    with files.open_bytes(path) as stream:
        try:
            for number, line in numbered_lines(stream, path):
                if line.strip():
                    found = True
                    yield number, decode(line, kind, file=path, number=number)
        except files.BROKEN_GZIP as error:
            raise files.broken_gzip(path, error, line=number + 1) from None
    if not found:
        raise InputError(f"is empty; expected one {_called(kind)} a line", file=path)


class Writer:
    """Writes records to a stream; `flush` makes each line visible at once."""

    def __init__(self, stream: IO[bytes], *, flush: bool) -> None:
        self._stream = stream
        self._flush = flush
        self.count = 0

    def write(self, record: Record) -> None:
        self._stream.write(encode(record))
        self.count += 1
        if self._flush:
            self._stream.flush()


@contextlib.contextmanager
def writer(path: str | Path, *, flush: bool = False) -> Iterator[Writer]:
    """A Writer to a file that appears whole, or to stdout for "-".

    Args:
        path: gzip where it ends in .gz.
        flush: whether each line is visible at once.

    Raises:
        ConfigError: for a path that cannot be written.
    """
    if str(path).endswith(".gz"):
        # mtime 0 and no name: the same records give the same bytes
        with files.atomic(path) as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
            yield Writer(packed, flush=flush)  # type: ignore[arg-type]
    else:
        with files.atomic(path) as stream:
            yield Writer(stream, flush=flush)


def write(path: str | Path, records: Iterable[Record]) -> int:
    """Write all records whole or not at all; returns how many."""
    with writer(path) as out:
        for record in records:
            out.write(record)
    return out.count


def partial(path: str | Path) -> Path:
    """Where the journal of an output lies."""
    target = files.resolved(path)
    return target.with_name(f"{target.name}.partial")


class Journal:
    """Appends finished records to `PATH.partial` and renames it to PATH at the end.

    Opening it keeps what an earlier run finished and cuts a torn last line. Each record is synced, so
    that a kill at any moment loses at most the record being written.

    Attributes:
        path, partial: the output, and the journal beside it.
        finished: the records of an earlier run, of the kind that is given.

    Raises:
        ConfigError: for a path that cannot be written.
        InputError: for a line of the journal that is no such record.
    """

    def __init__(self, path: str | Path, kind: type[R]) -> None:
        self.path = files.resolved(path)
        self.partial = partial(path)
        self.finished: list[Any] = []
        if self.path.is_dir():
            raise ConfigError(f"{path}: is a directory, expected a file to write")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            raw_files.refuse_irregular(self.partial)
            self._stream = open(self.partial, "a+b")  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise ConfigError(f"{self.partial}: cannot be written ({error.strerror})") from None
        self._stream.seek(0)
        good = 0
        for number, line in numbered_lines(self._stream, self.partial):
            if not line.endswith(b"\n"):
                break
            self.finished.append(decode(line, kind, file=self.partial, number=number))
            good += len(line)
        self._stream.truncate(good)
        self._stream.seek(0, os.SEEK_END)

    def append(self, record: Record) -> None:
        """Write a record to the disk; on a full disk (OSError) the journal is as before."""
        # past the stream's buffer, which would try to write a failed line again when it is closed
        handle = self._stream.fileno()
        start = os.fstat(handle).st_size
        raw = encode(record)
        try:
            while raw:
                raw = raw[os.write(handle, raw) :]
            os.fsync(handle)
        except OSError:
            # a full disk must not leave half a line behind
            with contextlib.suppress(OSError):
                os.ftruncate(handle, start)
            raise

    def finish(self) -> None:
        """The journal becomes the output."""
        self._stream.close()
        os.replace(self.partial, self.path)

    def close(self) -> None:
        """Leave the journal for a later run."""
        self._stream.close()
