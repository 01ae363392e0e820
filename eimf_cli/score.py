"""`eimf score`: how many true interests labels recover, several files side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import next_steps, terminal
from eimf_cli.options import Force, step
from eimf_core.labeling.config import ScoreConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)
COLUMNS = {
    "labels": "labels", "engine": "engine", "users": "users", "first try": "first_try", "precision": "precision",
    "recall": "recall", "F1": "f1", "by chance": "by_chance", "items right": "items_right",
}  # fmt: skip
"""Headings, and the field of a LabelQuality below each."""


@step(
    app,
    example="eimf score labels.jsonl keywords.jsonl --samples samples.jsonl --truth data/items.jsonl",
    settings=ScoreConfig,
)
def score(
    *,
    labels: Annotated[list[Path], typer.Argument(metavar="LABELS ...", help="Files that label wrote.")],
    samples: Annotated[Path, typer.Option(metavar="FILE", help="The samples that were labelled.")],
    truth: Annotated[
        Path, typer.Option(metavar="FILE", help="Each item's interest or categories, such as items.jsonl.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE|-", help="Write a LabelQuality line per file here.")
    ] = Path("-"),
    force: Force = False,
    settings: ScoreConfig,
) -> None:
    """Score labels against known interests: precision, recall and F1, one line per file of labels.

    Each labelled interest is matched to the true one whose name is nearest to its text. Where items have
    categories instead of a true interest, a user's interests are the categories of at least two items and
    a fifth of the history. "by chance" is the recall of the same labels given to other users.
    """
    from eimf_core.labeling import score_files

    on_screen = str(output) == "-" and terminal.stdout_is_terminal()
    scores = score_files.write(
        labels, None if on_screen else output, settings, samples=samples, truth=truth, force=force
    )
    # what is known of none of the files, such as of labels by hand, has no column
    shown = {title: name for title, name in COLUMNS.items() if any(getattr(of, name) is not None for of in scores)}
    rows = [[getattr(of, name) for name in shown.values()] for of in scores]
    terminal.table("true interests recovered", list(shown), rows, to_stderr=not on_screen)
    next_steps.train(samples, Path(max(scores, key=lambda of: of.f1).labels))
