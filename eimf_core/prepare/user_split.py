"""A by-user split made elsewhere: which user is in which split."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from eimf_core.errors import InputError
from eimf_core.prepare import log_files
from eimf_core.records import Split

SPLITS = frozenset(get_args(Split))


def read_partition(path: Path) -> dict[str, str]:
    """User to split, from lines of `user split` with a tab, comma or blank between; a header is passed over."""
    partition: dict[str, str] = {}
    for number, line in log_files.lines(path):
        delimiter = next((char for char in "\t," if char in line), None)
        cells = [cell.strip() for cell in line.rsplit(delimiter, 1)]
        if len(cells) == 2 and cells[1] not in SPLITS and not partition and number == 1:
            continue
        if len(cells) != 2 or not cells[0] or cells[1] not in SPLITS:
            raise InputError("is no user and one of train, valid, test", file=path, line=number)
        if partition.setdefault(cells[0], cells[1]) != cells[1]:
            raise InputError(f"user '{cells[0]}' is in two splits", file=path, line=number)
    if not partition:
        raise InputError("is empty; expected user and split a line", file=path)
    return partition
