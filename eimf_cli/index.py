"""`eimf index`: put an index into a model, for `recommend --index`."""

from __future__ import annotations

import typer

from eimf_cli import next_steps, progress_bars, terminal
from eimf_cli.list_options import ModelPath
from eimf_cli.options import step

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf index model/")
def index(model: ModelPath) -> None:
    """Build an index into a model, and print its recall against exact search. It needs faiss.

    With --index `recommend` scores only the items that lie near to a user's interests, which is
    faster with millions of items. A model that is trained again needs a new one.
    """
    from eimf_core.recommend.build_index import K, build_index

    built = build_index(model, reporter=progress_bars.TerminalReporter())
    terminal.info(
        f"{model}: {built.probes:,} of {built.lists:,} lists are looked into, {built.share:.1%} of the items; "
        f"recall@{K} against exact search {built.recall:.3f}"
    )
    next_steps.ask(model, "--index")
