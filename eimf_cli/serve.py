"""`eimf serve`: recommendations over HTTP."""

from __future__ import annotations

import signal
from typing import Any

import typer

from eimf_cli import progress_bars
from eimf_cli.list_options import ModelPath
from eimf_cli.options import step
from eimf_core.recommend.query.request import QueryRequest
from eimf_core.serving.config import ServeConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf serve model/ --port 8000", settings=ServeConfig, request=QueryRequest)
def serve(settings: ServeConfig, request: QueryRequest, model: ModelPath) -> None:
    """Answer Query lines over HTTP: POST /recommend, GET /similar?item=ID, /health, /metrics.

    A body is one Query, a JSON array of them or JSON lines; the answers are the records of `eimf
    recommend`. A model that is replaced, in its place or by a link, is taken without a break. Other
    machines get in with --host and a token in the environment variable EIMF_SERVE_TOKEN. SIGTERM
    answers what is open and exits with 0.
    """
    from eimf_core.serving import http_server

    http_server.serve(model, settings, request, progress_bars.TerminalReporter(), started=_end_with_signals)


def _end_with_signals(server: Any) -> None:
    """From here on a signal ends the server in good order, and nothing else."""

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
