"""`eimf recommend`: what to show next, at once, and which interest brought it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import list_options, next_steps, progress_bars, terminal
from eimf_cli.list_options import AsTable, ModelPath
from eimf_cli.options import Force, step
from eimf_core.errors import counted
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.query.request import RecommendRequest, refuse_blank

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf recommend model/ --items 50,172,181 -k 5", settings=RecommendConfig, request=RecommendRequest)
def recommend(
    settings: RecommendConfig,
    request: RecommendRequest,
    model: ModelPath,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write what --all-users gives here: .jsonl, or rows as .csv or .parquet.",
        ),
    ] = None,
    table: AsTable = None,
    force: Force = False,
) -> None:
    """Rank the catalogue for a history of items, for plain words, or for both.

    A history is given as ids, as titles, or as a user of a sequences file; without any of these
    Query lines are read and answered as they come, in order: each with the fields id, history or titles,
    text, times, events, exclude, only, seen, diversity and k, all optional but one of history, titles and text.
    The history of a user is all that is known, up to and including the last interaction. The first
    bad line ends the stream with exit code 3, unless --on-error skip continues behind it.
    """
    from eimf_core.recommend import session

    for option, said in (("--items", request.items), ("--like", request.like or None), ("--text", request.text)):
        refuse_blank(option, said)
    if output is not None:
        return _write(model, settings, request, output, force=force)
    if not request.is_query and request.queries is None and request.all_users is None and sys.stdin.isatty():
        terminal.info("reading Query lines; Ctrl-D ends them (see --help for other ways to ask)")
    ask = session.recommend
    if request.all_users is not None:
        from eimf_core.recommend.all_users import lines

        ask = lines
    asked, anchors = settings, settings.anchors > 0
    if list_options.is_table(table) and not anchors:
        # an interest without a name is shown by its strongest anchor all the same
        asked = replace(settings, anchors=1)
    answers = ask(model, asked, request, reporter=progress_bars.TerminalReporter())
    if not request.is_query:
        return list_options.show(answers, table, anchors=anchors)
    (line,) = answers
    list_options.show([line], table, heading=_heading(request), anchors=anchors)
    next_steps.explain(model, request, line)


def _write(model: Path, settings: RecommendConfig, request: RecommendRequest, output: Path, *, force: bool) -> None:
    """Write the rows of all users and say what was written."""
    from eimf_core.recommend import all_users

    done = all_users.write(model, settings, request, output, force=force, reporter=progress_bars.TerminalReporter())
    made, total = done.made, done.answered
    speed = f"; {made / max(done.seconds, 1e-9):,.0f} users a second" if made else ""
    terminal.info(f"{output}: {counted(total.rows, 'recommendation')} for {counted(total.users, 'user')}{speed}")
    for number, what in (
        (total.popular, "got the most popular items: nothing of their history is known"),
        (total.empty, "got an empty list: the filters leave nothing to list"),
    ):
        if number:
            terminal.info(f"{counted(number, 'user')} {what}")


def _heading(request: RecommendRequest) -> str:
    """What a query of the command line asks, in short."""
    count = len(request.items or ()) + len(request.like)
    parts = [f"user {request.user}"] if request.user is not None else []
    parts += [f"history of {counted(count, 'item')}"] if count else []
    parts += [f'the words "{request.text}"'] if request.text else []
    return " and ".join(parts) or "empty history"
