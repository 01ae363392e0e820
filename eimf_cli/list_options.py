"""Options that `recommend`, `serve` and `similar` share: the model, what may be listed, how the answer is shown."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import terminal

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Model directory that train wrote.")]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="A,B,C", help="Item ids to leave out.", rich_help_panel="data")
]
ExcludeItems = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Ids to leave out, one a line.", rich_help_panel="data")
]
OnlyItems = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Ids that may be listed, one a line, such as those in stock.", rich_help_panel="data"
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="category=NAME", help="Only items of a category; repeat for more.", rich_help_panel="data"),
]
NewItems = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Items (JSON lines) that came after training.", rich_help_panel="data"),
]
Boost = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="CSV or JSON lines of item and factor, which multiplies the score: above 1 promotes.",
        rich_help_panel="data",
    ),
]
AsTable = Annotated[
    bool | None,
    typer.Option("--table/--jsonl", help="A table or JSON lines on stdout; by default a table on a terminal."),
]


def ids(options: list[str] | None) -> list[str]:
    """The ids of an option that takes several, and may be repeated; one that holds a comma may stand in quotes."""
    return [item.strip() for option in options or [] for item in _parts(option) if item.strip()]


def _parts(option: str) -> list[str]:
    if '"' in option:
        with contextlib.suppress(csv.Error):
            return next(csv.reader([option], strict=True, skipinitialspace=True), [])
    return option.split(",")


def show(answers: Iterable[bytes], as_table: bool | None, *, heading: str | None = None) -> None:
    """Write Recommendation lines as they come: as they are, or as tables under a heading or the id of each."""
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
