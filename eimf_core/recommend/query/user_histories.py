"""The histories of users out of a prepared directory: everything known of a user, or what the test split asks from.

A user may have a line in each split; the latest one says most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from eimf_core import dataset
from eimf_core.errors import ConfigError, InputError, counted
from eimf_core.io import files, jsonl
from eimf_core.records import Sequence, SequenceOwner

LATEST = ("test", "valid", "train")
"""Splits by how late their lines end."""
FIRST_DATE = 1e8
"""Unix seconds (of 1973) below which a time is a number of the log's own."""


def sequences_file(path: str | Path) -> Path:
    """The sequences file of a prepared directory; a path that is no directory as it is."""
    return Path(path) / "sequences.jsonl" if Path(path).is_dir() else Path(path)


def whole(line: Sequence) -> Sequence:
    """A line whose history holds its targets as well; its times and events too where they are known of all."""
    if not line.targets:
        return line
    return msgspec.structs.replace(
        line,
        items=[*line.items, *line.targets],
        times=_joined(line.times, line.target_times),
        events=_joined(line.events, line.target_events),
        targets=[],
        target_times=None,
        target_events=None,
    )


def _joined(first: list[str] | list[float] | None, then: list[str] | list[float] | None) -> list[str | float] | None:
    return None if first is None or then is None else [*first, *then]


def history_of(user: str, path: str | Path, *, as_tested: bool = False) -> Sequence:
    """The line of a user in the latest split: that of the test split, else valid, else train.

    Args:
        user: the id.
        path: the prepared directory, or its sequences file. Only lines that hold the id are read.
        as_tested: without what came next, which a test asks for; otherwise that belongs to the history.

    Returns:
        The line, with its targets behind its items unless `as_tested`.

    Raises:
        ConfigError: for a path that cannot be opened.
        InputError: no line is the user's, or a line is broken.
    """
    file = sequences_file(path)
    # ids with other characters may be written in several ways in JSON
    plain = user.isascii() and user.isprintable() and not set(user) & set('"\\/')
    wanted = user.encode("utf-8", "surrogatepass") if plain else b""
    found: dict[str, Sequence] = {}
    with files.open_bytes(file) as stream:
        for number, line in jsonl.numbered_lines(stream, file):
            if wanted in line and line.strip():
                sequence = decoded(line, file, number)
                if sequence.user == user:
                    found[sequence.split] = sequence
    for split in LATEST:
        if split in found:
            return found[split] if as_tested else whole(found[split])
    raise InputError(f"has no line of the user '{user}'", file=file, field="user")


def decoded(line: bytes, file: Path, number: int) -> Sequence:
    """The Sequence on a line.

    Args:
        line: JSON.
        file, number: what an error names, the number counted from 1.

    Returns:
        The record, checked.

    Raises:
        InputError: for a line that is none.
    """
    sequence = jsonl.decode(line, Sequence, file=file, number=number)
    if problem := dataset.sequence_problem(sequence):
        raise InputError(problem[1], file=file, line=number, field=problem[0])
    return sequence


@dataclass(frozen=True)
class Users:
    """All users of a sequences file: `lines` are the numbers of their latest lines, rising."""

    file: Path
    lines: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lines)

    def part(self, shard: tuple[int, int]) -> Users:
        """The users of one of several parts of nearly equal size, which follow each other."""
        number, parts = shard
        if parts > max(1, len(self)):
            raise ConfigError(f"--shard {number}/{parts}: {self.file} has only {counted(len(self), 'user')}")
        return Users(self.file, self.lines[len(self) * (number - 1) // parts : len(self) * number // parts])

    def histories(self, start: int = 0, *, as_tested: bool = False) -> Iterator[Sequence]:
        """The lines of the users from number `start` on, as `history_of` gives them."""
        wanted = iter(self.lines[start:].tolist())
        sought = next(wanted, None)
        with files.open_bytes(self.file) as stream:
            for number, line in jsonl.numbered_lines(stream, self.file):
                if number == sought:
                    found = decoded(line, self.file, number)
                    yield found if as_tested else whole(found)
                    sought = next(wanted, None)
                if sought is None:
                    return


def all_users(path: str | Path) -> Users:
    """The users of a prepared directory, or of a sequences file, which is read for it once.

    Raises:
        ConfigError: for a path that cannot be opened, or that can be read only once.
        InputError: for a line that is no Sequence, or a file without any.
    """
    file = sequences_file(path)
    if str(path) == "-" or files.is_device(file):
        raise ConfigError(f"{path}: is read twice, which a stream cannot be; give a directory or a file")
    latest: dict[str, tuple[int, int]] = {}
    for number, line in jsonl.read_numbered(file, SequenceOwner):
        rank = -LATEST.index(line.split)
        if line.user not in latest or rank > latest[line.user][0]:
            latest[line.user] = rank, number
    return Users(file, np.sort(np.array([number for _, number in latest.values()], dtype=np.int64)))


def end_of_data(path: str | Path) -> float:
    """The time of the last interaction in a prepared directory, or in its sequences file.

    Raises:
        ConfigError: for a path that cannot be opened.
        InputError: the data has no times, or only those of numbers that are no dates.
    """
    file, end = sequences_file(path), None
    for number, line in jsonl.read_numbered(file, Sequence):
        if line.times is None or (line.targets and line.target_times is None):
            why = "has no times" if line.times is None else "has no times of its targets; run prepare again"
            raise InputError(f"{why}, which --repeat-after counts with", file=file, line=number)
        last = [*line.times[-1:], *(line.target_times or [])]
        end = max(last if end is None else [end, *last], default=end)
    if end is None or end < FIRST_DATE:
        raise InputError("has times that are no dates, so that --repeat-after cannot count days", file=file)
    return end
