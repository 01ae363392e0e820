"""Published splits whose rows hold a history and what came next, put back together to whole sequences.

RecBole's "benchmark" files (`item_id_list`, `item_id`) and the CSV files of MiniOneRec (lists as
Python literals, histories cut to the last ten). The rows of a user overlap; each adds what is new.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eimf_core.prepare.columns import normalised
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.row_cells import cells_of, shape_problem
from eimf_core.prepare.scans import UserLines
from eimf_core.prepare.value_parsing import BLANKS


@dataclass(frozen=True)
class Row:
    """A history and the item that came next; `text` is the row as it stands in the file."""

    file: str
    line: int
    text: str
    user: str
    history: list[str]
    target: str


def join_rows(rows: Iterable[Row], rejects: Rejects) -> dict[str, list[str]]:
    """Whole sequences from overlapping rows; one that fits nowhere is a bad row."""
    whole: dict[str, list[str]] = {}
    for row in rows:
        full, known = [*row.history, row.target], whole.setdefault(row.user, [])
        if known[: len(full)] == full:
            continue
        if full[: len(known)] == known:
            whole[row.user] = full
        elif row.history and known[-len(row.history) :] == row.history:
            known.append(row.target)
        else:
            problem = f"field 'user': is '{row.user}', whose history does not go on where the rows before it end"
            rejects.add(row.file, row.line, problem, row.text)
    return whole


def convert(files: Sequence[Source], scratch: Path, rejects: Rejects) -> Path:
    """Write the sequences of all files as one line a user; returns the path."""
    target = scratch / "histories"
    with open(target, "w", encoding="utf-8") as stream:
        for user, items in join_rows((row for source in files for row in _rows(source, rejects)), rejects).items():
            stream.write(" ".join([user, *items]) + "\n")
    return target


def _rows(source: Source, rejects: Rejects) -> Iterator[Row]:
    recbole = _is_recbole(source)
    delimiter, quote = ("\t", "") if recbole else (",", '"')
    names = ("itemidlist", "itemid") if recbole else ("historyitemid", "itemid")
    positions: list[int] = []
    for line, text, cells in cells_of(source.path, delimiter, quote, before=source.before):
        if not positions:
            columns = [normalised(cell) for cell in cells or []]
            positions = [columns.index(name) for name in ("userid", *names)]
            continue
        problem = shape_problem(cells, len(columns)) if cells is None or len(cells) != len(columns) else ""
        if cells and not problem:
            user, history, item = (cells[at].strip(BLANKS) for at in positions)
            items = history.split() if recbole else _literal_list(history)
            if items is None:
                problem = "field 'history_item_id': is no list"
            elif not all([user, item, *items]) or any(set(" \t") & set(name) for name in (user, item, *items)):
                problem = "an id is empty or has a blank in it"
            else:
                yield Row(source.name, line, text, user, items, item)
        if problem:
            rejects.add(source.name, line, problem, text)


def _literal_list(text: str) -> list[str] | None:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return [str(item) for item in found] if isinstance(found, list) else None


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
        published=("*.test.inter", "*.valid.inter", "*.train.inter"),
        item_files=("*.item",),
        convert=convert,
    ),
    LogFormat(
        "minionerec",
        "MiniOneRec CSV (history_item_id, item_id), rows joined; titles from ../index; no times",
        _is_minionerec,
        lambda source, config: UserLines(),
        published=("train/*.csv valid/*.csv test/*.csv", "valid/*.csv test/*.csv"),
        item_files=("../index/*.item.json",),
        convert=convert,
    ),
)
