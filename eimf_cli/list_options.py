"""What the commands that open a model share: its argument, and how lists are shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import terminal

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Model directory that train wrote.")]
AsTable = Annotated[
    bool | None,
    typer.Option("--table/--jsonl", help="A table or JSON lines on stdout; by default a table on a terminal."),
]


def is_table(said: bool | None) -> bool:
    """Whether answers are shown as tables: as was said, otherwise on a terminal alone."""
    return terminal.stdout_is_terminal() if said is None else said


def show(answers: Iterable[bytes], as_table: bool | None, *, heading: str | None = None, anchors: bool = True) -> None:
    """Write answers as they come: as they are, or as tables.

    Args:
        answers: Recommendation lines, one or several at a time.
        as_table: whether as tables; None: on a terminal alone.
        heading: above each table; None: the id of the answer.
        anchors: whether tables have a column of the history items behind each item.
    """
    if is_table(as_table):
        from eimf_cli.recommendation_tables import answer_table

        for lines in answers:
            for line in lines.splitlines():
                answer_table(line, heading, anchors=anchors)
            sys.stdout.flush()
        return
    for lines in answers:
        sys.stdout.buffer.write(lines)
        sys.stdout.flush()
