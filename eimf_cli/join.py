"""`eimf join`: models that were trained apart become the members of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import progress_bars, terminal
from eimf_cli.options import step
from eimf_core.errors import ConfigError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf join sasrec/ gru4rec/ data/ -o model/")
def join(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL MODEL [MODEL ...] DIR", help="Model directories, then the directory that prepare wrote."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="Model directory to write.")],
) -> None:
    """Join models that were trained on the same data, say on several machines, as an ensemble.

    The result is one model directory like any other, the same as that of `eimf train --backbone
    A+B`. Its members are weighed by NDCG@10 on the validation split, equally without one; a member
    that adds nothing is left out.
    """
    *models, directory = paths
    if len(models) < 2:
        raise ConfigError("give at least two model directories and, last, the directory that prepare wrote")
    if (directory / "manifest.json").exists() and not (directory / "sequences.jsonl").exists():
        raise ConfigError(f"{directory} is a model directory; models come first, the prepared directory last")
    from eimf_core.training import ensemble

    made = ensemble.join_models(models, directory, output, reporter=progress_bars.TerminalReporter())
    terminal.info(f"{output}: {len(made.members)} of {len(models)} models joined")
    terminal.next_step("eval", output, *models, directory)
