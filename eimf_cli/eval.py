"""`eimf eval`: how well models rank what came next, beside baselines, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import progress_bars, terminal
from eimf_cli.options import Force, step
from eimf_core.errors import ConfigError
from eimf_core.evaluation.config import EvalConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def _help_metrics(wanted: bool) -> None:
    if wanted:
        from eimf_core.evaluation.metrics import glossary

        print(glossary.text())
        raise typer.Exit


@step(app, example="eimf eval model/ data/ -k 10 -k 20 -o metrics.jsonl", settings=EvalConfig, plugins="metrics")
def evaluate(
    settings: EvalConfig,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL [MODEL ...] DIR", help="Model directories, then the directory that prepare wrote."
        ),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|-", help="Write Metric lines here; - is stdout.")
    ] = None,
    per_user: Annotated[
        Path | None, typer.Option("--per-user", metavar="FILE", help="Write the values of every user as JSON lines.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write one page to look at: plots, slices, example users."),
    ] = None,
    table: Annotated[
        bool | None,
        typer.Option("--table/--jsonl", help="A table or JSON lines on stdout; by default a table on a terminal."),
    ] = None,
    force: Force = False,
    help_metrics: Annotated[
        bool,
        typer.Option(
            "--help-metrics",
            callback=_help_metrics,
            is_eager=True,
            help="Print what each metric is, with formula and source, and stop.",
        ),
    ] = False,
) -> None:
    """Rank the full catalogue for the users of a split and write recall, hit rate, NDCG, MRR and more,
    each with a bootstrap 95 % interval over users, next to baselines fitted on the training lines."""
    if len(paths) < 2:
        raise ConfigError("give at least one model directory and, last, the directory that prepare wrote")
    from eimf_core.evaluation import metric_files
    from eimf_core.io import jsonl

    *models, directory = paths
    evaluation = metric_files.write(
        models,
        directory,
        settings,
        output=None if output in (None, "-") else Path(output),
        per_user=per_user,
        report=report,
        force=force,
        reporter=progress_bars.TerminalReporter(),
    )
    if report is not None:
        terminal.info(f"{report}: open it in a browser")
    as_table = terminal.stdout_is_terminal() and not terminal.is_part() if table is None else table
    as_lines = output == "-" or table is False or (not as_table and output is None)
    if as_lines:
        jsonl.write("-", evaluation.records)
    if as_table:
        from eimf_cli.metric_tables import metrics_table

        metrics_table(evaluation, to_stderr=as_lines)
    from eimf_core.evaluation import result_tables

    for line in result_tables.closing_lines(evaluation):
        terminal.info(line)
    terminal.next_step("recommend", models[0], "--all-users", directory, "-o", "recommendations.parquet")
