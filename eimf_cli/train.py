"""`eimf train`: a prepared directory, and labels if there are any, to a model directory."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import progress_bars, terminal
from eimf_cli.options import step
from eimf_core.errors import counted
from eimf_core.io import files
from eimf_core.training.config import FAST, FAST_EPOCHS, TrainConfig, as_fast

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf train data/ --labels labels.jsonl -o model/", settings=TrainConfig, plugins="backbones")
def train(
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory that prepare wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="Model directory to write.")],
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Labels that label wrote.", rich_help_panel="labels")
    ] = None,
    epochs_from: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Train as this earlier model was, for the epochs that it found best.",
            rich_help_panel="optimisation",
            hidden=True,
        ),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Start from this earlier model, such as yesterday's.")
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help=f"Train {FAST} alone, {FAST_EPOCHS} epochs at most: a little worse, in a third of the time."
        ),
    ] = False,
    settings: TrainConfig,
    explicit: frozenset[str],
) -> None:
    """Train a small model; labels of a language model are optional.

    By default it is an ensemble, whose members are trained one after the other and weighed on the
    validation split; the result is one model. Without labels it learns from behaviour alone. The epoch
    with the best NDCG@10 on the validation split is kept; test lines are never read. An interrupted
    run resumes when the same command is run again. With --epochs-from, data that prepare made with
    --split none is trained on with all settings of an earlier model, as long as it found best; options
    beside it count in place of its own. With --refit a model that the validation split has chosen is
    trained once more on that split as well, which takes twice the time. With --init it starts from an
    earlier model and has its backbones: items are found by their id, new ones are placed by their text,
    and those that are gone are left out. A model that is at MODEL already is kept as MODEL.previous, in
    the place of the one before it.
    """
    if fast:
        settings, explicit = as_fast(settings, explicit, epochs_from=epochs_from)
    from eimf_core import dataset

    reporter = progress_bars.TerminalReporter()
    # a wrong path is told before torch is imported, which takes seconds
    dataset.refuse_missing(directory)
    reporter.begin("importing torch")
    from eimf_core.training import plan
    from eimf_core.training import train as training

    reporter.end()
    if init is not None and epochs_from is None:
        settings = plan.as_init(settings, init, explicit)
    with files.readable_again(labels) if labels is not None else contextlib.nullcontext() as read:
        summary = training.train(
            directory,
            output,
            settings,
            labels=read,
            epochs_from=epochs_from,
            init=init,
            given=explicit,
            reporter=reporter,
        )
    after = f" after epoch {summary.best_epoch}" if summary.best_epoch else ""
    best = "" if summary.ndcg is None else f", validation NDCG@10 {summary.ndcg:.4f}{after}"
    labelled = ""
    if labels:
        labelled = f", {summary.labelled:,} of {summary.users:,} users labelled"
        labelled += f", seen in {summary.labelled_steps:.0%} of the steps"
    best += ", then trained on validation lines too" if settings.refit else ""
    terminal.info(f"{output}: {counted(summary.epochs, 'epoch')} in {summary.seconds:,.0f} s{best}{labelled}")
    terminal.next_step("eval", output, directory)
