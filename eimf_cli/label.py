"""`eimf label`: samples in, semantic interests of each out, from a local language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import terminal
from eimf_cli.options import step
from eimf_core.errors import ConfigError
from eimf_core.labeling.config import LabelConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf label samples.jsonl --model instruct.gguf -o labels.jsonl", settings=LabelConfig)
def label(
    *,
    samples: Annotated[Path, typer.Argument(metavar="SAMPLES|-", help="Samples that cluster wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE|-", help="Labels to write.")] = Path("-"),
    score: Annotated[
        list[Path] | None, typer.Option(metavar="LABELS", hidden=True, help="Now a command of its own: eimf score.")
    ] = None,
    settings: LabelConfig,
) -> None:
    """Ask a language model for the interests behind each sample's history.

    The answer is held to the prompt's schema, checked against the history, and asked for again when
    it cannot be used. Each finished label is kept at once in FILE.partial: an interrupted run goes on
    when the same command is run again, and labels of the same requests are taken over.
    Answers that other settings or samples gave are kept: --discard gives them up.
    """
    if score:
        raise ConfigError("--score: labels are scored by 'eimf score LABELS --samples SAMPLES --truth FILE'")
    if settings.dry_run:
        from eimf_core.labeling import dry_run

        totals = dry_run.dry_run(samples, settings, terminal.TerminalReporter())
        guess = "" if totals.seconds is None else f"; about {totals.seconds / 60:.1f} minutes, very roughly"
        terminal.info(f"{totals.prompts} prompts, {totals.tokens:,} tokens, {totals.shared} of each the same{guess}")
        return
    from eimf_core.labeling import label as labeling

    summary = labeling.label(samples, output, settings, reporter=terminal.TerminalReporter())
    made = summary.labels - summary.reused
    rate = f", {summary.answer_tokens / summary.seconds:.0f} tokens/s" if summary.answer_tokens else ""
    errors = f", {summary.errors} without ({summary.first_error})" if summary.errors else ""
    terminal.info(
        f"{output}: {summary.labels - summary.errors} users labelled{errors}; {made} asked in "
        f"{summary.seconds:.0f} s{rate}, {summary.first_try} of {summary.labels} at the first try"
    )
