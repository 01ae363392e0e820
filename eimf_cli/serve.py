"""`eimf serve`: recommendations over HTTP."""

from __future__ import annotations

import signal
from typing import Any

import typer

from eimf_cli import list_options, progress_bars
from eimf_cli.list_options import Boost, Exclude, ExcludeItems, ModelPath, NewItems, Only, OnlyItems
from eimf_cli.options import step
from eimf_core.serving.config import ServeConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf serve model/ --port 8000", settings=ServeConfig)
def serve(
    settings: ServeConfig,
    model: ModelPath,
    exclude: Exclude = None,
    exclude_items: ExcludeItems = None,
    only_items: OnlyItems = None,
    only: Only = None,
    new_items: NewItems = None,
    boost: Boost = None,
) -> None:
    """Answer Query lines over HTTP: POST /recommend, GET /similar?item=ID, /health, /metrics.

    A body is one Query, a JSON array of them or JSON lines; the answers are the records of `eimf
    recommend`. A model that is replaced, in its place or by a link, is taken without a break. Other
    machines get in with --host and a token in the environment variable EIMF_SERVE_TOKEN. SIGTERM
    answers what is open and exits with 0.
    """
    from eimf_core.recommend.request import ListRequest
    from eimf_core.serving import http_server

    request = ListRequest(
        exclude=list_options.ids(exclude),
        exclude_items=exclude_items,
        only_items=only_items,
        only=only or [],
        new_items=new_items,
        boost=boost,
    )
    http_server.serve(model, settings, request, progress_bars.TerminalReporter(), started=_end_with_signals)


def _end_with_signals(server: Any) -> None:
    """From here on a signal ends the server in good order, and nothing else."""

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
