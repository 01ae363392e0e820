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


def show(answers: Iterable[bytes], as_table: bool | None, *, heading: str | None = None) -> None:
    """Write answers as they come: as they are, or as tables.

    Args:
        answers: Recommendation lines, one or several at a time.
        as_table: whether as tables; None: on a terminal alone.
        heading: above each table; None: the id of the answer.
    """
    if terminal.stdout_is_terminal() if as_table is None else as_table:
        from eimf_cli.recommendation_tables import answer_table

        for lines in answers:
            for line in lines.splitlines():
                answer_table(line, heading)
            sys.stdout.flush()
        return
    for lines in answers:
        sys.stdout.buffer.write(lines)
        sys.stdout.flush()
