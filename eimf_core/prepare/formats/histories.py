"""Published splits whose rows hold a history and what came next, put back together to whole sequences.

RecBole's "benchmark" files (`item_id_list`, `item_id`) and the CSV files of MiniOneRec (lists as
Python literals, histories cut to the last ten). The rows of a user overlap; each adds what is new.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from eimf_core.errors import InputError
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.formats.tables import plain
from eimf_core.prepare.scans import UserLines, cells_of
from eimf_core.prepare.sources import Source

Row = tuple[int, str, list[str], str]
"""Line, user, history and target."""


def chain(rows: Iterator[tuple[str, Row]]) -> dict[str, list[str]]:
    """Whole sequences from overlapping rows (file name, row); InputError for one that fits nowhere."""
    whole: dict[str, list[str]] = {}
    for file, (line, user, history, target) in rows:
        full, known = [*history, target], whole.setdefault(user, [])
        if known[: len(full)] == full:
            continue
        if full[: len(known)] == known:
            whole[user] = full
        elif history and known[-len(history) :] == history:
            known.append(target)
        else:
            raise InputError(
                f"the history of user '{user}' does not go on where the rows before it end", file=file, line=line
            )
    return whole


def convert(files: Sequence[Source], scratch: Path) -> Path:
    """Write the sequences of all files as one line a user; returns the path."""
    rows = ((source.name, row) for source in files for row in _rows(source))
    target = scratch / "histories"
    with open(target, "w", encoding="utf-8") as stream:
        for user, items in chain(rows).items():
            stream.write(" ".join([user, *items]) + "\n")
    return target


def _rows(source: Source) -> Iterator[Row]:
    recbole = _is_recbole(source)
    delimiter, quote = ("\t", "") if recbole else (",", '"')
    names = ("itemidlist", "itemid") if recbole else ("historyitemid", "itemid")
    places: list[int] = []
    for line, _, cells in cells_of(source.path, delimiter, quote):
        if not places:
            columns = [plain(cell) for cell in cells or []]
            places = [columns.index(name) for name in ("userid", *names)]
            width = len(columns)
            continue
        if cells is None or len(cells) != width:
            raise InputError(f"has {len(cells or [])} columns, expected {width}", file=source.name, line=line)
        user, history, item = (cells[place] for place in places)
        items = history.split() if recbole else _list(history, source, line)
        ids = [user, item, *items]
        if not all(ids) or any(set(" \t") & set(name) for name in ids):
            raise InputError("an id is empty or has a blank in it", file=source.name, line=line)
        yield line, user, items, item


def _list(text: str, source: Source, line: int) -> list[str]:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise InputError("is no list", file=source.name, line=line, field="history_item_id")
    return [str(item) for item in found]


def _is_recbole(source: Source) -> bool:
    columns = source.first.split("\t")
    return "item_id_list:token_seq" in columns and "item_id:token" in columns and "user_id:token" in columns


def _is_minionerec(source: Source) -> bool:
    if not source.first.startswith("user_id,"):
        return False
    return {"user_id", "history_item_id", "item_id"} <= set(next(csv.reader([source.first])))


LOGS = (
    LogFormat(
        "recbole-lists",
        "RecBole benchmark files (user_id, item_id_list, item_id), rows joined; titles from .item; no times",
        _is_recbole,
        lambda source, config: UserLines(),
        logs=("*.test.inter", "*.valid.inter", "*.train.inter"),
        items=("*.item",),
        convert=convert,
    ),
    LogFormat(
        "minionerec",
        "MiniOneRec CSV (history_item_id, item_id), rows joined; titles from ../index; no times",
        _is_minionerec,
        lambda source, config: UserLines(),
        logs=("train/*.csv valid/*.csv test/*.csv", "valid/*.csv test/*.csv"),
        items=("../index/*.item.json",),
        convert=convert,
    ),
)
