"""Backbones compared: settings searched on the validation split, trained over seeds, tested once, at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eimf_core import dataset
from eimf_core.comparison import setting_ranges
from eimf_core.comparison.config import CompareConfig
from eimf_core.comparison.setting_ranges import Settings
from eimf_core.comparison.trials import Trials, claim
from eimf_core.errors import InputError, ModelError
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import Evaluation, evaluate
from eimf_core.io import files, outputs, provenance, toml_file
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Trial


@dataclass(frozen=True)
class TunedBackbone:
    """A backbone with the setting that ranks best on the validation split: its trainings over the seeds, and how many
    settings were tried for it. `search` are the trainings that it was chosen by."""

    name: str
    settings: Settings
    trials: list[Trial]
    search: list[Trial]

    @property
    def trained(self) -> list[Trial]:
        """Those that did not fail."""
        return [trial for trial in self.trials if trial.error is None]

    @property
    def failed(self) -> list[Trial]:
        """Those that failed, of the chosen setting."""
        return [trial for trial in self.trials if trial.error is not None]

    @property
    def validation(self) -> list[float]:
        """NDCG@10 on the validation split, by seed."""
        return [trial.ndcg for trial in self.trained if trial.ndcg is not None]

    @property
    def mean_validation(self) -> float | None:
        """The mean of these; None where no training came to its end."""
        return float(np.mean(self.validation)) if self.validation else None


@dataclass(frozen=True)
class Comparison:
    """What came out. `best` is the backbone that ranks best on the validation split, mean over seeds."""

    folder: Path
    backbones: list[TunedBackbone]
    best: str
    evaluation: Evaluation
    sidecar: dict[str, Any]

    @property
    def first_models(self) -> list[Path]:
        """The model directory of the first seed of each backbone that was trained."""
        return [self.folder / str(each.trained[0].model) for each in self.backbones if each.trained]

    @property
    def failed(self) -> list[Trial]:
        """Trainings of chosen settings that failed, each a gap in the table."""
        return [trial for backbone in self.backbones for trial in backbone.failed]


def compare(
    directory: str | Path,
    output: str | Path,
    settings: CompareConfig,
    *,
    ranges: str | Path | None = None,
    labels: str | Path | None = None,
    reporter: Reporter = SILENT,
) -> Comparison:
    """Train every backbone with every seed, and evaluate all of them on the test split.

    Settings are chosen with the first seed, by NDCG@10 on the validation split; test lines are read at the end alone.
    A run that was killed resumes, and backbones, seeds and trials may be added to a finished one.

    Args:
        directory: that prepare wrote.
        output: folder of the comparison.
        settings: of the comparison.
        ranges: TOML file of settings to try.
        labels: that label wrote.
        reporter: hears of progress, failures and remarks.

    Returns:
        The trainings of each backbone, the one that validation chose, and the evaluation on the test split.

    Raises:
        ConfigError: settings that do not fit, or a folder of another comparison.
        InputError: data that cannot be compared on.
        ModelError: no training came to its end.
    """
    content = {} if ranges is None else toml_file.read(ranges)
    candidates = setting_ranges.candidates(
        content, settings.backbones, trials=settings.trials, seed=settings.seed, file=ranges
    )
    outputs.refuse_common_folder(output)
    _check(directory)
    folder, labels = Path(output), None if labels is None else Path(labels)
    inputs = [*(Path(directory) / name for name in ("sequences.jsonl", "items.jsonl")), *([labels] if labels else [])]
    with files.locked(folder):
        about = {
            "data": {path.name: files.sha256(path) for path in inputs if path != labels},
            "labels": files.sha256(labels) if labels else None,
            "ranges": content,
            "max_minutes": settings.max_minutes,
            "seed": settings.seed,
        }
        claim(folder, about)
        trials = Trials(folder, Path(directory), labels, settings.max_minutes, reporter)
        backbones = _train(trials, candidates, settings)
        models = [str(folder / str(trial.model)) for backbone in backbones for trial in backbone.trained]
        if not models:
            first = next(trial.error for backbone in backbones for trial in backbone.trials)
            raise ModelError(f"{folder}: no training came to its end; the first failed with: {first}")
        tested = EvalConfig(k=settings.k, metrics=["recall", "ndcg"], group=settings.seeds > 1, seed=settings.seed)
        evaluation = evaluate(models, directory, tested, reporter=reporter)
    arguments = {**asdict(settings), "directory": directory, "ranges": ranges, "labels": labels, "output": output}
    read = [*inputs, *([ranges] if ranges is not None else []), *(Path(model) / "manifest.json" for model in models)]
    sidecar = provenance.describe(
        command="compare", arguments=arguments, inputs=[*read], seed=settings.seed, facts=evaluation.facts
    )
    best = max(backbones, key=lambda each: each.mean_validation or -1.0)
    return Comparison(folder, backbones, best.name, evaluation, sidecar)


def _check(directory: str | Path) -> None:
    """Both splits must be there before hours are spent."""
    data = dataset.load(directory, ("train", "valid", "test"))
    for split in ("train", "valid", "test"):
        if not len(data.splits[split]):
            raise InputError(
                f"has no {split} lines; compare chooses on the validation split and tests on the test split",
                file=Path(directory) / "sequences.jsonl",
            )


def _train(trials: Trials, candidates: dict[str, list[Settings]], settings: CompareConfig) -> list[TunedBackbone]:
    """Search, then train what was chosen with the other seeds."""
    searched = [len(tried) for tried in candidates.values() if len(tried) > 1]
    # what was searched is trained with the first seed already
    total = sum(searched) + len(candidates) * settings.seeds - len(searched)
    number = 0

    def said() -> str:
        nonlocal number
        number += 1
        return f"{number} of {total}"

    found: dict[str, list[Trial]] = {}
    for backbone, tried in candidates.items():
        best, done = -1.0, []
        for each in tried if len(tried) > 1 else []:
            done.append(trials.run(backbone, each, settings.seed, said(), better_than=best))
            best = max(best, done[-1].ndcg or 0.0) if done[-1].error is None else best
        found[backbone] = done
    chosen = {backbone: _chosen(candidates[backbone], done) for backbone, done in found.items()}
    runs: dict[str, list[Trial]] = {backbone: [] for backbone in candidates}
    for seed in range(settings.seed, settings.seed + settings.seeds):
        for backbone, each in chosen.items():
            known = seed == settings.seed and found[backbone]
            count = f"{number} of {total}" if known else said()
            runs[backbone].append(trials.run(backbone, each, seed, count, better_than=None))
    return [TunedBackbone(name, chosen[name], runs[name], found[name]) for name in candidates]


def _chosen(tried: Sequence[Settings], done: Sequence[Trial]) -> Settings:
    """The first of the settings with the highest figure; the first of all where none has one."""
    figures = [(trial.ndcg or 0.0) if trial.error is None else -1.0 for trial in done]
    return tried[int(np.argmax(figures))] if figures else tried[0]
