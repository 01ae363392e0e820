"""Recommendations as tables for people, with their reasons."""

from __future__ import annotations

from typing import Any

import msgspec

from eimf_cli import terminal
from eimf_core.errors import counted
from eimf_core.records import Recommendation, UserInterest


def answer_table(line: bytes, heading: str | None = None) -> None:
    """Print a Recommendation line under a heading, its id by default.

    Columns: rank, item, title, score, the interest behind it and the history items behind that.
    These stand where the interest comes first. A list without items is its title alone.
    """
    answer = msgspec.json.decode(line, type=Recommendation)
    if not answer.items and answer.explain is None:
        print(terminal.printable(_title(answer, heading or answer.id)))
        return
    interests = {interest.index: interest for interest in answer.interests}
    with_anchors = any(interest.anchors for interest in answer.interests)
    columns = ["rank", "item", "title", "score"]
    columns += ["interest"] if interests else []
    columns += ["because of"] if with_anchors else []
    rows = []
    shown: set[int | None] = set()
    for item in answer.items:
        row = [str(item.rank), item.item, item.title, f"{item.score:.4f}"]
        if interests:
            interest = None if item.interest is None else interests[item.interest]
            row.append(_name(interest))
            if with_anchors:
                row.append("" if item.interest in shown else _anchors(interest))
            shown.add(item.interest)
        rows.append(row)
    terminal.table(_title(answer, heading or answer.id), columns, rows)
    if answer.explain is not None:
        _explanation(answer.explain)


def _title(answer: Recommendation, heading: str) -> str:
    if answer.error is not None:
        return f"{heading}: {answer.error}"
    what = f"{heading}: {counted(len(answer.items), 'item')} listed"
    if answer.empty is not None:
        return f"{what}: {answer.empty}"
    return f"{what}, by {answer.fallback}: nothing of the history is known" if answer.fallback else what


def _name(interest: UserInterest | None) -> str:
    if interest is None:
        return ""
    named = None if interest.name is None else f"{interest.name} ({interest.similarity:.2f})"
    if interest.words is not None:
        return f'the words "{interest.words}"' + (f", {named}" if named else "")
    if named is None and interest.anchors:
        strongest = max(interest.anchors, key=lambda anchor: anchor.weight)
        named = f"like {strongest.title or strongest.item}"
    return named or f"interest {interest.index}"


def _anchors(interest: UserInterest | None) -> str:
    return "" if interest is None else "; ".join(anchor.title for anchor in interest.anchors)


def _explanation(reasons: dict[str, Any]) -> None:
    """A sentence on the item that was asked about, and the history items it comes through."""
    named = f"interest {reasons['interest']}"
    if "words" in reasons:
        named = f'the words "{reasons["words"]}"'
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
