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
    exclude: Annotated[list[str] | None, typer.Option(metavar="A,B,C", help="Item ids to leave out.")] = None,
    exclude_items: Annotated[Path | None, typer.Option(metavar="FILE", help="Ids to leave out, one a line.")] = None,
    only_items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ids that may be recommended, such as those in stock.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="category=NAME", help="Only items of a category; repeat for more.")
    ] = None,
    new_items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Items (JSON lines) that came after training.")
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="ITEM", help="Say which interest would bring this item, and at which rank.")
    ] = None,
    similar: Annotated[
        str | None, typer.Option(metavar="ITEM", help="The items nearest to this one, by id or title.")
    ] = None,
    build_index: Annotated[
        bool,
        typer.Option(
            "--build-index",
            help="Put an index into the model, for --index, and print its recall; a query beside it is answered after.",
        ),
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare all hashes of the model first, those of files over 32 MiB too.")
    ] = False,
    table: Annotated[
        bool | None,
        typer.Option("--table/--jsonl", help="A table or JSON lines on stdout; by default a table on a terminal."),
    ] = None,
) -> None:
    """Rank the catalogue for a history of items, for plain words, or for both.

    A history is given as ids, as titles, or as a user of a sequences file; without any of these
    Query lines are read and answered as they come, in order: each with the fields id, history or titles,
    text, times, events, exclude, only, seen, diversity and k, all optional but one of history, titles and text.
    The first bad line ends the stream with exit code 3, unless --on-error skip goes on.
    """
    from eimf_core.recommend import recommend as run

    request = run.Request(
        items=None if items is None else _ids(items),
        titles=like or [],
        user=user,
        sequences=sequences,
        text=text,
        queries=queries,
        exclude=_ids(exclude),
        exclude_items=exclude_items,
        only_items=only_items,
        only=only or [],
        new_items=new_items,
        explain=explain,
        similar=similar,
        verify=verify,
    )
    reporter = terminal.TerminalReporter()
    if build_index:
        from eimf_cli import index

        index.build(model, verify=verify)
        # Query lines on stdin are taken with --queries - alone: most who build an index ask nothing
        if not request.is_query and queries is None and similar is None:
            return
    if request.is_stream and queries is None and sys.stdin.isatty():
        terminal.info("reading Query lines; Ctrl-D ends them (see --help for other ways to ask)")
    as_table = terminal.stdout_is_terminal() if table is None else table
    if as_table:
        from eimf_cli.recommendation_tables import answer_table

        for answers in run.recommend(model, settings, request, reporter=reporter):
            for answer in answers:
                answer_table(answer)
            sys.stdout.flush()
        return
    for lines in run.recommend_lines(model, settings, request, reporter=reporter):
        sys.stdout.buffer.write(lines)
        sys.stdout.flush()


def _ids(options: list[str] | None) -> list[str]:
    return [item.strip() for option in options or [] for item in option.split(",") if item.strip()]
