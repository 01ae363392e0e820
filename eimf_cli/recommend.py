"""`eimf recommend`: what to show next, at once, and which interest brought it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import terminal
from eimf_cli.options import step
from eimf_core.recommend.config import RecommendConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf recommend model/ --items 50,172,181 -k 5", settings=RecommendConfig)
def recommend(
    settings: RecommendConfig,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model directory that train wrote.")],
    items: Annotated[
        list[str] | None, typer.Option(metavar="A,B,C", help="Item ids of the history, oldest first.")
    ] = None,
    like: Annotated[list[str] | None, typer.Option(metavar="TITLE", help="A title, roughly; repeat for more.")] = None,
    user: Annotated[str | None, typer.Option(metavar="U", help="A user of the sequences file.")] = None,
    sequences: Annotated[Path | None, typer.Option(metavar="FILE", help="Sequences that prepare wrote.")] = None,
    text: Annotated[str | None, typer.Option(metavar="WORDS", help="What is wanted, in plain words.")] = None,
    queries: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Query lines to answer; stdin when nothing else is asked.")
    ] = None,
    table: Annotated[
        bool | None,
        typer.Option("--table/--jsonl", help="A table or JSON lines on stdout; by default a table on a terminal."),
    ] = None,
) -> None:
    """Rank the catalogue for a history of items, for plain words, or for both.

    A history is given as ids, as titles, or as a user of a sequences file; without any of these
    Query lines are read and answered as they come.
    """
    from eimf_core.recommend.run import Request
    from eimf_core.recommend.run import recommend as run

    ids = [item.strip() for part in items or [] for item in part.split(",") if item.strip()]
    request = Request(ids, like or [], user, sequences, text, queries)
    if not request.is_query and queries is None and sys.stdin.isatty():
        terminal.note("reading Query lines; Ctrl-D ends them (see --help for other ways to ask)")
    as_table = terminal.stdout_is_terminal() if table is None else table
    for answers in run(model, settings, request, reporter=terminal.TerminalReporter()):
        if as_table:
            from eimf_cli.tables import recommendation_table

            for answer in answers:
                recommendation_table(answer)
        else:
            import msgspec

            sys.stdout.buffer.write(b"".join(msgspec.json.encode(answer) + b"\n" for answer in answers))
        sys.stdout.flush()
