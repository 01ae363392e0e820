"""Recommendations as tables for people, with their reasons."""

from __future__ import annotations

from typing import Any

import msgspec

from eimf_cli import dates, terminal
from eimf_core.errors import counted
from eimf_core.records import Recommendation, ResolvedHistory, UserInterest
from eimf_core.text_cleaning import shortened

TEXTS = ("title", "interest", "because of")
"""Columns that are cut where they would take many lines."""
MIN_WIDTH = 12
"""Characters of a line of such a column."""
BESIDE = 3
"""What the frame of a table takes for each column."""
SHOWN = 3
"""Items of a known user that are named, the latest."""


def answer_table(line: bytes, heading: str | None = None, *, anchors: bool = True) -> None:
    """Print a Recommendation line: rank, item, title, score, the interest behind it and the history items behind that.

    Args:
        line: without items it is its title alone.
        heading: None: the id of the answer.
        anchors: whether there is a column of the history items.
    """
    answer = msgspec.json.decode(line, type=Recommendation)
    if not answer.items and answer.explain is None:
        print(terminal.printable(_title(answer, heading or answer.id)))
        return
    interests = {interest.index: interest for interest in answer.interests}
    with_anchors = anchors and any(interest.anchors for interest in answer.interests)
    columns = ["rank", "item", "title", "score"]
    columns += ["interest"] if interests else []
    columns += ["because of"] if with_anchors else []
    rows = []
    for item in answer.items:
        row = [str(item.rank), item.item, item.title, f"{item.score:.4f}"]
        if interests:
            interest = None if item.interest is None else interests[item.interest]
            row.append(_name(interest))
            if with_anchors:
                row.append(_anchors(interest))
        rows.append(row)
    understood = "" if answer.history is None else _understood(answer.history)
    terminal.table(_title(answer, heading or answer.id), columns, _fitting(columns, rows), below=understood)
    if answer.explain is not None:
        _explanation(answer.explain)


def _fitting(columns: list[str], rows: list[list[str]]) -> list[list[str]]:
    """Rows whose texts take two lines each at most, about, on a terminal; elsewhere as they are."""
    if not terminal.stdout_is_terminal():
        return rows
    words = [at for at, name in enumerate(columns) if name in TEXTS]
    taken = sum(max([len(name), *(len(row[at]) for row in rows)]) for at, name in enumerate(columns) if at not in words)
    share = max(MIN_WIDTH, (terminal.width() - taken - BESIDE * len(columns)) // max(1, len(words)))
    return [[shortened(cell, 2 * share) if at in words else cell for at, cell in enumerate(row)] for row in rows]


def _title(answer: Recommendation, heading: str) -> str:
    if answer.error is not None:
        return f"{heading}: {answer.error}"
    what = f"{heading}: {counted(len(answer.items), 'item')} listed"
    if answer.empty is not None:
        return f"{what}: {answer.empty}"
    return f"{what}, by {answer.fallback}: nothing of the history is known" if answer.fallback else what


def _understood(history: ResolvedHistory) -> str:
    """What the history of the query was understood as, and until when it goes."""
    titles = [item.title or item.item for item in history.latest]
    if history.items == len(titles) and history.until is None and not history.as_tested:
        return f"history: {'; '.join(titles)}"
    notes = ["what came next is left out"] if history.as_tested else []
    notes += [f"the latest {history.read} count"] if history.read < history.items else []
    until = "" if history.until is None else f" until {dates.day(history.until)}"
    noted = f" ({', '.join(notes)})" if notes else ""
    return f"history: {counted(history.items, 'item')}{until}{noted}, the last: {'; '.join(titles[-SHOWN:])}"


def _name(interest: UserInterest | None) -> str:
    if interest is None:
        return ""
    named = None if interest.name is None else f"{interest.name} ({interest.similarity:.2f})"
    if interest.words is not None:
        return f'the words "{interest.words}"' + (f", {named}" if named else "")
    if named is None and interest.anchors:
        strongest = max(interest.anchors, key=lambda anchor: anchor.weight)
        named = _like(strongest.item, strongest.title)
    return named or f"interest {interest.index}"


def _like(item: str, title: str) -> str:
    """What stands for the name of an interest that this item of the history made most of."""
    return f"like {title or item}"


def _anchors(interest: UserInterest | None) -> str:
    return "" if interest is None else "; ".join(anchor.title for anchor in interest.anchors)


def _explanation(reasons: dict[str, Any]) -> None:
    """A sentence on the item that was asked about, and the history items it comes through."""
    named = f"interest {reasons['interest']}"
    if "words" in reasons:
        named = f'the words "{reasons["words"]}"'
    elif "name" not in reasons:
        strongest = reasons["through"][0]
        named = f"the interest {_like(strongest['item'], strongest['title'])}"
    if "name" in reasons:
        named += f", {reasons['name']} ({reasons['similarity']:.2f})"
    sentence = (
        f"{reasons['title']} ({reasons['item']}): rank {reasons['rank']:,} of {reasons['of']:,}, score "
        f"{reasons['score']:.4f}, through {named}, where it is rank {reasons['interest_rank']:,}"
    )
    if "left_out" in reasons:
        sentence += f"; not listed: {reasons['left_out']}"
    rows = [
        [through["item"], through["title"], f"{through['weight']:.4f}", f"{through['similarity']:.4f}"]
        for through in reasons["through"]
    ]
    if not rows:
        print(terminal.printable(sentence))
        return
    terminal.table(sentence, ["item", "through", "share of the interest", "likeness"], rows)
