"""`eimf prepare`: a raw log and item text to the directory that the other steps read."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from eimf_cli import progress_bars, terminal
from eimf_cli.options import Force, step
from eimf_cli.prepare_report import show
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.input_discovery import help_lines

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def with_formats(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a line for each format to the help."""
    function.__doc__ = f"{inspect.getdoc(function)}\n\n\b\nFormats of a log:\n{help_lines()}"
    return function


@step(app, example="eimf prepare ml-100k/ -o data/", settings=PrepareConfig, plugins="formats")
@with_formats
def prepare(
    *,
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG", help="Files of interactions (packed or not), patterns, a published folder or archive, or -."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Directory to write.")],
    items: Annotated[
        list[Path],
        typer.Option(
            "--items",
            metavar="FILE",
            help="Item text (a published form, CSV, JSON lines or Parquet); by default what lies beside the log.",
        ),
    ] = [],  # noqa: B006 (typer wants the default itself)
    users: Annotated[
        Path | None, typer.Option(metavar="FILE", help="by-user: a split made elsewhere, user and split a line.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object on stdout.")] = False,
    force: Force = False,
    settings: PrepareConfig,
) -> None:
    """Read an interaction log of any usual kind; write sequences.jsonl and items.jsonl.

    Items get their text from --items or from the file that is published beside the log. What each
    filter removed and what the splits hold is said on stderr.
    """
    from eimf_core.prepare.prepare import prepare as run

    done = run(logs, output, settings, items=items, users=users, force=force, reporter=progress_bars.TerminalReporter())
    if json:
        sys.stdout.buffer.write(orjson.dumps(done.as_dict(), option=orjson.OPT_APPEND_NEWLINE))
    else:
        show(done)
    terminal.next_step("train", output, "-o", "model/")
