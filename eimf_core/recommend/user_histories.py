"""The histories of users out of a prepared directory: everything known of a user, or what the test split asks from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from eimf_core import dataset, files, jsonl
from eimf_core.errors import InputError
from eimf_core.records import Sequence

LATEST = ("test", "valid", "train")
"""Splits by how late their lines end."""


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
    """The Sequence on a line; InputError for one that is none."""
    sequence = jsonl.decode(line, Sequence, file=file, number=number)
    if problem := dataset.sequence_problem(sequence):
        raise InputError(problem[1], file=file, line=number, field=problem[0])
    return sequence
