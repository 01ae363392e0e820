"""The history of one user, out of a sequences file."""

from __future__ import annotations

from pathlib import Path

from eimf_core import files, jsonl
from eimf_core.errors import InputError
from eimf_core.records import Sequence

LATEST = ("test", "valid", "train")
"""Splits by how late their histories end."""


def history_of(user: str, path: str | Path) -> Sequence:
    """The line with the longest known history of a user: that of the test split, else valid, else train.

    Only lines that hold the user's id are read. Raises InputError when none is the user's.
    """
    # ids with other characters may be written in several ways in JSON
    plain = user.isascii() and user.isprintable() and not set(user) & set('"\\/')
    wanted = user.encode("utf-8", "surrogatepass") if plain else b""
    found: dict[str, Sequence] = {}
    with files.open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            if wanted in line and line.strip():
                sequence = jsonl.decode(line, Sequence, file=path, number=number)
                if sequence.user == user:
                    found[sequence.split] = sequence
    for split in LATEST:
        if split in found:
            return found[split]
    raise InputError(f"has no line of the user '{user}'", file=path, field="user")
