"""A by-user split made elsewhere: which user is in which split."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from eimf_core.errors import InputError
from eimf_core.prepare import containers, log_files, remote
from eimf_core.prepare.columns import KNOWN_NAMES, normalised
from eimf_core.prepare.formats.base import object_of
from eimf_core.prepare.header import split_line
from eimf_core.prepare.scans import text_of
from eimf_core.records import Split
from eimf_core.text_cleaning import shortened_at_word

SPLITS = frozenset(get_args(Split))
SPLIT_NAMES = ("split", "set", "fold", "part", "partition", "subset", "splitset")
EXPECTED = """expected a user and one of train, valid, test, such as u7,train or {"user": "u7", "split": "train"}"""


def read_partition(path: Path, scratch: Path) -> dict[str, str]:
    """User to split, packed or not.

    Args:
        path: JSON lines with the keys `user` and `split`, or lines of `user split` with a tab, comma, semicolon or
            blank between, the user in quotes or not; a header is passed over.
        scratch: where an unpacked copy may lie.

    Raises:
        InputError: for a line that is neither, a user in two splits, and an empty file.
    """
    partition: dict[str, str] = {}
    name = remote.redacted(path) or str(path)
    for number, line in log_files.lines(containers.readable(path, scratch, name)):
        user, split = _user_and_split(line)
        if number == 1 and split not in SPLITS and _are_names(user, split):
            continue
        if not user or split not in SPLITS:
            raise InputError(f"is '{shortened_at_word(line, 80)}', {EXPECTED}", file=name, line=number)
        if partition.setdefault(user, split) != split:
            raise InputError(f"user '{user}' is in two splits", file=name, line=number)
    if not partition:
        raise InputError("is empty; expected user and split a line", file=name)
    return partition


def _are_names(user: str, split: str) -> bool:
    """Whether the first line names the columns."""
    return normalised(user) in KNOWN_NAMES["user"] or normalised(split) in SPLIT_NAMES


def _user_and_split(line: str) -> tuple[str, str]:
    """User and split on a line; empty where there are none."""
    if line.startswith("{"):
        row = object_of(line)
        user = next((key for key in row if normalised(key) in KNOWN_NAMES["user"]), "")
        return text_of(row.get(user)), text_of(row.get("split"))
    delimiter = next((char for char in "\t,;" if char in line), None)
    cells = split_line(line, delimiter) if delimiter and '"' in line else line.rsplit(delimiter, 1)
    return (cells[0].strip(), cells[1].strip()) if len(cells) == 2 else ("", "")
