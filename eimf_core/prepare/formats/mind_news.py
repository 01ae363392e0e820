"""MIND: behaviors.tsv (impression, user, time, history, impressions) and news.tsv, both without a header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from eimf_core.errors import counted
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, bad_row, nearly_all
from eimf_core.prepare.formats.histories import write_lines
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import UserLines
from eimf_core.records import Item

TIME, CLICKED = "%m/%d/%Y %I:%M:%S %p", "-1"
_TIME = re.compile(r"\d+/\d+/\d{4} \d+:\d\d:\d\d [AP]M")
WIDTH = 5
NEWS_WIDTHS = (6, 8)
NEWS_URL = 5
Impression = tuple[datetime, tuple[str, ...], tuple[str, ...]]
"""Time, history and what was clicked."""


def _are_behaviors(source: Source) -> bool:
    rows = [line.split("\t") for line in source.head]
    return nearly_all(sum(len(row) == WIDTH and bool(_TIME.fullmatch(row[2].strip())) for row in rows), len(rows))


def _convert(files: Sequence[Source], scratch: Path, rejects: Rejects) -> Path:
    """Write one line a user: the history of the first impression, then what was clicked, in the order of time."""
    users: dict[str, list[Impression]] = {}
    for source in files:
        for number, line in log_files.lines(source.path, before=source.before):
            cells = [cell.strip() for cell in line.split("\t")]
            problem = _problem(cells)
            if problem:
                rejects.add(source.name, number, problem, line)
                continue
            found = users.setdefault(cells[1], [])
            history = tuple(cells[3].split())
            # the history is the same in all impressions of a user: one copy is enough
            history = found[-1][1] if found and found[-1][1] == history else history
            clicked = (word.removesuffix(CLICKED) for word in cells[4].split() if word.endswith(CLICKED))
            found.append((datetime.strptime(cells[2], TIME), history, tuple(clicked)))
    return write_lines(scratch / "mind", {user: items for user, each in users.items() if (items := _sequence(each))})


def _problem(cells: Sequence[str]) -> str:
    if len(cells) != WIDTH:
        return f"has {counted(len(cells), 'column')}, expected {WIDTH}"
    if not cells[1] or " " in cells[1]:
        return "field 'user': is empty or has a blank in it"
    try:
        datetime.strptime(cells[2], TIME)
    except ValueError:
        return f"field 'time': is '{cells[2]}', expected a time such as 11/15/2019 8:55:22 AM"
    return ""


def _sequence(impressions: list[Impression]) -> list[str]:
    impressions.sort(key=lambda impression: impression[0])
    items = list(impressions[0][1])
    known = set(items)
    for _, history, clicked in impressions:
        fresh = [item for item in history if item not in known]
        items += [*fresh, *clicked]
        known.update(fresh, clicked)
    return items


def _are_news(source: Source) -> bool:
    rows = [line.split("\t") for line in source.head[:100]]
    return nearly_all(sum(len(row) in NEWS_WIDTHS and _is_news(row) for row in rows), len(rows))


def _is_news(row: Sequence[str]) -> bool:
    """Whether there is an address where it should be, and the columns behind it hold lists or nothing."""
    address = row[NEWS_URL].strip()
    return (not address or address.startswith("http")) and all(cell[:1] in ("", "[") for cell in row[NEWS_URL + 1 :])


def _read_news(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, line in log_files.lines(source.path, before=source.before):
        cells = line.split("\t")
        if len(cells) not in NEWS_WIDTHS:
            yield bad_row(source, number, f"has {counted(len(cells), 'column')}, expected {NEWS_WIDTHS[1]}", line)
            continue
        item, category, kind, title, abstract = cells[:5]
        yield Item(item=item, title=title, categories=[name for name in (category, kind) if name], text=abstract)


LOGS = (
    LogFormat(
        "mind",
        "MIND: behaviors.tsv, the history and then what was clicked; titles from news.tsv beside it",
        _are_behaviors,
        lambda source, config: UserLines(),
        published=("behaviors.tsv",),
        item_files=("news.tsv",),
        convert=_convert,
        no_times="gives no times to the histories",
    ),
)
ITEMS = (ItemFormat("MIND news", _are_news, _read_news),)
