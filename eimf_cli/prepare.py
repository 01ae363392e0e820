"""`eimf prepare`: a raw log and item text to the directory that the other steps read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import terminal
from eimf_cli.options import step
from eimf_core.prepare.config import PrepareConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf prepare ml-100k/ -o data/", settings=PrepareConfig)
def prepare(
    *,
    logs: Annotated[
        list[Path], typer.Argument(metavar="LOG", help="Files of interactions, or a published set's folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Directory to write.")],
    items: Annotated[
        list[Path], typer.Option("--items", metavar="FILE", help="Item text; by default what lies beside the log.")
    ] = [],  # noqa: B006 (typer wants the default itself)
    users: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A by-user split made elsewhere: user and split a line.")
    ] = None,
    settings: PrepareConfig,
) -> None:
    """Read an interaction log of any usual kind; write sequences.jsonl and items.jsonl."""
    from eimf_core.prepare.prepare import prepare as run

    done = run(logs, output, settings, items=items, users=users, reporter=terminal.TerminalReporter())
    report = done.report
    terminal.table(
        "interactions",
        ("after", "users", "items", "interactions", "removed"),
        [(step.name, step.users, step.items, step.interactions, step.removed) for step in report.steps],
        to_stderr=True,
    )
    terminal.table(
        "splits",
        ("split", "users", "interactions", "targets", "cold targets", "cold users"),
        [
            (name, size.users, size.interactions, size.targets, size.cold_targets, size.cold_users)
            for name, size in report.splits.items()
        ],
        to_stderr=True,
    )
    terminal.note(
        f"{output}: {report.steps[-1].interactions:,} interactions, {report.items_without_text} items without text"
    )
