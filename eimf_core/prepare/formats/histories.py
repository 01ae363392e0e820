"""Published splits whose rows hold a history and what came next, put back together to whole sequences.

RecBole's "benchmark" files (`item_id_list`, `item_id`) and the CSV files of MiniOneRec (lists as
Python literals, histories cut to the last ten). The rows of a user overlap; each adds what is new.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from eimf_core.prepare import log_files
from eimf_core.prepare.columns import normalised
from eimf_core.prepare.csv_cells import cells_of, shape_problem
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.header import split_line
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import UserLines
from eimf_core.prepare.value_parsing import BLANKS

PARTS = ("*.train.inter", "*.valid.inter", "*.test.inter")
RECBOLE = ("user_id:token", "item_id_list:token_seq", "item_id:token")
MINIONEREC = ("userid", "historyitemid", "itemid")
PAD, FILLING = frozenset({"[PAD]"}), "0"


@dataclass(frozen=True)
class HistoryRow:
    """A history and the item that came next; `text` is the row as it stands in the file."""

    file: str
    line: int
    text: str
    user: str
    history: list[str]
    target: str


def join_rows(rows: Iterable[HistoryRow], rejects: Rejects) -> dict[str, list[str]]:
    """Whole sequences from overlapping rows; one that fits nowhere is a bad row."""
    whole: dict[str, list[str]] = {}
    for row in rows:
        full, known = [*row.history, row.target], whole.setdefault(row.user, [])
        if known[: len(full)] == full:
            continue
        # lists may be cut to the last items: what they share with the end of what is known joins them
        shared = next((size for size in range(min(len(known), len(full)), 0, -1) if known[-size:] == full[:size]), 0)
        if shared or not known:
            known += full[shared:]
        else:
            problem = f"field 'user': is '{row.user}', whose history does not go on where the rows before it end"
            rejects.add(row.file, row.line, problem, row.text)
    return whole


def convert(files: Sequence[Source], scratch: Path, rejects: Rejects) -> Path:
    """Write the sequences of all files as one line a user.

    Files of a split are read in the order of time: training, validation, test.

    Args:
        files: the files of one data set.
        scratch: where the lines go.
        rejects: gets bad rows.

    Returns:
        The path of the lines.
    """
    ordered = sorted(files, key=_place)
    filling = _padding_tokens(ordered)
    rows = (_without_padding(row, filling) for source in ordered for row in _rows(source, rejects))
    return write_lines(scratch / "histories", join_rows(rows, rejects))


def write_lines(target: Path, sequences: Mapping[str, Iterable[str]]) -> Path:
    """Write one line a user; returns the path."""
    with open(target, "w", encoding="utf-8") as stream:
        for user, items in sequences.items():
            stream.write(" ".join([user, *items]) + "\n")
    return target


def _place(source: Source) -> int:
    path = source.given_path
    named = f"{path.parent.name}/{path.name}".lower()
    return next((at for at, part in enumerate(("train", "valid", "test")) if part in named), len(PARTS))


def _padding_tokens(files: Sequence[Source]) -> frozenset[str]:
    """The words that fill lists up to one length: [PAD], and 0 where all lists are as long and none leads to it."""
    recbole = [source for source in files if _is_recbole(source)]
    lists = [history for source in recbole for history, _ in _lists_and_items(source, source.head[1:])]
    padded = any(FILLING in (history[0], history[-1]) for history in lists if history)
    if not padded or len(set(map(len, lists))) > 1:
        return PAD
    lines = ((source, line) for source in recbole for _, line in log_files.lines(source.path, before=source.before))
    led_to = any(item == FILLING for source, line in lines for _, item in _lists_and_items(source, [line]))
    return PAD if led_to else PAD | {FILLING}


def _lists_and_items(source: Source, lines: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    columns = source.first.split("\t")
    history, item = columns.index("item_id_list:token_seq"), columns.index("item_id:token")
    for cells in (line.split("\t") for line in lines):
        if len(cells) == len(columns):
            yield cells[history].split(), cells[item].strip()


def _without_padding(row: HistoryRow, filling: frozenset[str]) -> HistoryRow:
    """The row without what fills its list at either end."""
    start, end = 0, len(row.history)
    while start < end and row.history[start] in filling:
        start += 1
    while start < end and row.history[end - 1] in filling:
        end -= 1
    return row if end - start == len(row.history) else replace(row, history=row.history[start:end])


def _rows(source: Source, rejects: Rejects) -> Iterator[HistoryRow]:
    recbole = _is_recbole(source)
    delimiter, quote = ("\t", "") if recbole else (",", '"')
    names = [*map(normalised, RECBOLE)] if recbole else MINIONEREC
    positions: list[int] = []
    for line, text, cells in cells_of(source.path, delimiter, quote, before=source.before):
        if not positions:
            columns = [normalised(cell) for cell in cells or []]
            positions = [columns.index(name) for name in names]
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
                yield HistoryRow(source.name, line, text, user, items, item)
        if problem:
            rejects.add(source.name, line, problem, text)


def _literal_list(text: str) -> list[str] | None:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return [str(item) for item in found] if isinstance(found, list) else None


def _is_recbole(source: Source) -> bool:
    return {*RECBOLE} <= {*source.first.split("\t")}


def _is_minionerec(source: Source) -> bool:
    if not source.first.startswith("user_id,"):
        return False
    return {"user_id", "history_item_id", "item_id"} <= set(next(csv.reader([source.first])))


LOGS = (
    LogFormat(
        "recbole-lists",
        "RecBole benchmark files (user_id, item_id_list, item_id), rows joined; titles from .item",
        _is_recbole,
        lambda source, config: UserLines(),
        published=tuple(" ".join(parts) for count in (3, 2, 1) for parts in combinations(PARTS, count)),
        item_files=("*.item",),
        no_times="gives no time to each item of its lists",
        needs=RECBOLE,
        columns=lambda source: source.first.split("\t"),
        convert=convert,
    ),
    LogFormat(
        "minionerec",
        "MiniOneRec CSV (history_item_id, item_id), rows joined; titles from ../index; no times",
        _is_minionerec,
        lambda source, config: UserLines(),
        published=("train/*.csv valid/*.csv test/*.csv", "valid/*.csv test/*.csv"),
        item_files=("../index/*.item.json",),
        needs=MINIONEREC,
        columns=lambda source: [*map(normalised, split_line(source.first, ","))],
        convert=convert,
    ),
)
