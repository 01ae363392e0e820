"""The files that `eval` writes: Metric lines, the values of every user, the page to look at."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eimf_core import dataset
from eimf_core.config import as_options
from eimf_core.errors import ConfigError
from eimf_core.evaluation import evaluate
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.io import jsonl, outputs, provenance
from eimf_core.model_directory import model_files
from eimf_core.progress import SILENT, Reporter

SLICES_OF_REPORT = ["history", "popularity"]


def write(
    models: Sequence[Path], directory: Path, settings: EvalConfig, *, output: Path | None = None,
    per_user: Path | None = None, report: Path | None = None, force: bool = False, reporter: Reporter = SILENT,
) -> Evaluation:  # fmt: skip
    """Evaluate, and write what is wanted.

    Args:
        models: model directories.
        directory: that prepare wrote.
        settings: of the evaluation.
        output: a file for Metric lines.
        per_user: a file for the values of every user.
        report: a file for the page; it has slices by history and popularity unless others are asked for.
        force: whether files that no run of eimf wrote may be replaced.
        reporter: hears of progress and remarks.

    Returns:
        What was measured.

    Raises:
        ConfigError, InputError, ModelError: as `evaluate`, and for outputs that may not be written.
    """
    if (directory / "manifest.json").exists() and not (directory / "sequences.jsonl").exists():
        raise ConfigError(f"{directory} is a model directory; models come first, the prepared directory last")
    read = [*dataset.files_of(directory), settings.labels, settings.compare_with]
    read += [model / part for model in models for part in ("manifest.json", *model_files.PARTS, *model_files.OPTIONAL)]
    with outputs.claimed([output, per_user, report], inputs=read, force=force) as places:
        if report is not None and not settings.slice:
            settings = replace(settings, slice=SLICES_OF_REPORT)
        evaluation = evaluate.evaluate(models, directory, settings, reporter=reporter)
        sidecar = evaluation.sidecar({**vars(settings), "paths": [*models, directory]})
        if per_user is not None:
            jsonl.write(places[str(per_user)], evaluation.per_user())
        if report is not None:
            from eimf_core.evaluation import report as page

            words = ["eimf", "eval", *map(str, models), str(directory), *as_options(settings), "--report", str(report)]
            page.write(places[str(report)], evaluation, sidecar, shlex.join(words), reporter=reporter)
        if output is not None:
            jsonl.write(places[str(output)], evaluation.records)
        for place in places.values():
            provenance.write(place, sidecar)
    return evaluation
