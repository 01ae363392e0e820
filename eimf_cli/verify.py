"""`eimf verify`: whether a model directory is as training wrote it."""

from __future__ import annotations

import typer

from eimf_cli import next_steps, terminal
from eimf_cli.list_options import ModelPath
from eimf_cli.options import step

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf verify model/")
def verify(model: ModelPath) -> None:
    """Compare the hash of every file of a model with its manifest, those of files over 32 MiB too.

    Smaller files are compared whenever a model is opened. A file that differs ends with exit code 4.
    """
    from eimf_core.model_directory import artifact

    artifact.verify(model)
    terminal.info(f"{model}: every file is as training wrote it")
    next_steps.ask(model)
