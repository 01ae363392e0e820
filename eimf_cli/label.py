"""`eimf label`: samples in, semantic interests of each out, from a local language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eimf_cli import next_steps, progress_bars, terminal
from eimf_cli.options import Force, step
from eimf_core.errors import ConfigError, counted
from eimf_core.labeling.config import LabelConfig
from eimf_core.progress import duration

if TYPE_CHECKING:
    from eimf_core.labeling.label import LabelSummary

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(
    app,
    example="eimf label samples.jsonl --model instruct.gguf -o labels.jsonl",
    settings=LabelConfig,
    plugins="engines",
)
def label(
    *,
    samples: Annotated[Path, typer.Argument(metavar="SAMPLES|MODEL|-", help="Samples that cluster wrote, or a model.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE|-", help="Labels to write, or prompts with --dry-run.")
    ] = Path("-"),
    force: Force = False,
    settings: LabelConfig,
    typed: frozenset[str],
) -> None:
    """Ask a language model for the interests behind each sample's history.

    The answer is held to the prompt's schema, checked against the history, and asked for again when
    it cannot be used. Each finished label is kept at once in FILE.partial: an interrupted run resumes
    when the same command is run again, and labels of the same requests are taken over.
    Answers that other settings or samples gave are kept: --discard gives them up.
    An option that the engine does not use is refused. Of a --config file or the environment, which
    several engines may share, it is warned of.

    Of a model directory that train wrote, groups of items that lie near to each other are named, and the
    names are kept in it: `recommend` shows them. A run that is interrupted resumes likewise.
    """
    of_model = (samples / "manifest.json").exists()
    if samples.is_dir() and not of_model:
        raise ConfigError(f"{samples}: {_no_samples(samples)}")
    if settings.dry_run:
        from eimf_core.labeling import dry_run, group_labels

        asked = group_labels.preview if of_model else dry_run.dry_run
        totals = asked(samples, output, settings, progress_bars.TerminalReporter(), force=force, given=typed)
        guess = "" if totals.seconds is None else f"; a run takes very roughly {duration(totals.seconds)}"
        terminal.info(
            f"{totals.prompts:,} prompts, {totals.tokens:,} tokens; the first {totals.shared} are shared{guess}"
        )
        return
    if of_model:
        _name_groups(samples, output, settings, typed, force=force)
        return
    from eimf_core.labeling import label as labeling
    from eimf_core.labeling.engines.engine_registry import engine_class

    summary = labeling.label(
        samples, output, settings, force=force, given=typed, reporter=progress_bars.TerminalReporter()
    )
    if summary.requests is not None:
        _report_requests(summary)
        if summary.unanswered:
            return
    file = "" if str(output) == "-" else f"{output}: "
    errors = f", {summary.errors} with an error (the first: {summary.first_error})" if summary.errors else ""
    reused = f", {summary.reused} of them by an earlier run" if summary.reused else ""
    kind = engine_class(settings.engine)
    # what was answered elsewhere took another time than this run
    measured = summary.answer_tokens and not kind.answers_later
    rate = f", {summary.answer_tokens / summary.seconds:.0f} tokens/s" if measured else ""
    terminal.info(
        f"{file}{counted(summary.labels - summary.errors, 'user')} labelled{errors}{reused}"
        f"{_attempts(summary, settings)}; {summary.seconds:.0f} s{rate}"
    )
    if file:
        next_steps.train(samples, output)


def _no_samples(directory: Path) -> str:
    if (directory / "sequences.jsonl").exists():
        return f"is what prepare wrote, not samples; eimf cluster {directory} -o samples.jsonl makes some"
    return "is a directory without manifest.json, which is no model; give samples or what train wrote"


def _name_groups(model: Path, output: Path, settings: LabelConfig, typed: frozenset[str], *, force: bool) -> None:
    from eimf_core.labeling import group_labels

    if str(output) != "-":
        raise ConfigError(f"--output {output}: names are kept in {model} itself; leave it out")
    summary = group_labels.name_groups(
        model, settings, force=force, given=typed, reporter=progress_bars.TerminalReporter()
    )
    if summary.unanswered:
        _report_requests(summary)
        return
    errors = f", {summary.errors} keep words of titles (the first: {summary.first_error})" if summary.errors else ""
    reused = f", {summary.reused} of them by an earlier run" if summary.reused else ""
    terminal.info(
        f"{model}: {counted(summary.labels - summary.errors, 'group')} of items named{errors}{reused}"
        f"{_attempts(summary, settings)}; {summary.seconds:.0f} s"
    )
    next_steps.ask(model)


def _report_requests(summary: LabelSummary) -> None:
    terminal.info(
        f"{summary.requests}: {counted(summary.unanswered + summary.further, 'request')} in the OpenAI batch form; "
        "run them, then the same command again with --results and the files that came out"
    )


def _attempts(summary: LabelSummary, settings: LabelConfig) -> str:
    """How many first answers of a model were used, and the share of answers that were refused, by reason."""
    from eimf_core.labeling.engines.engine_registry import engine_class

    if not engine_class(settings.engine).uses_prompt:
        return ""
    shares = ", ".join(f"{reason} {count / summary.answers:.0%}" for reason, count in summary.refused.items())
    refused = f"; of {counted(summary.answers, 'answer')} refused: {shares}" if shares else ""
    return f"; {summary.first_try:,} at the first attempt{refused}"
