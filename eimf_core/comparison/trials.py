"""Trainings of a comparison in their folder: each is done once, and told in a line of `trials.jsonl`.

    comparison.json      what the folder is a comparison of
    trials.jsonl         one Trial a line
    BACKBONE-SEED/       models that are kept: of a search the best so far, then those of the chosen setting

A training that was killed resumes from its checkpoint; one that failed is tried again by the next run.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import orjson

from eimf_core import renamed_settings
from eimf_core.comparison.setting_ranges import Settings, changed, with_current_names
from eimf_core.errors import ConfigError, EimfError, InputError
from eimf_core.io import files, jsonl
from eimf_core.model_directory import artifact
from eimf_core.progress import PartReporter, Reporter
from eimf_core.records import Trial
from eimf_core.training import ensemble, train
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig

ABOUT, TRIALS = "comparison.json", "trials.jsonl"
OPTIONS = {"labels": "--labels", "ranges": "--ranges", "max_minutes": "--max-minutes", "seed": "--seed"}
"""How the command line calls what a comparison was made with."""


class TrialReporter(PartReporter):
    """What each epoch of a training brought is for those who asked with -v."""

    def note(self, message: str) -> None:
        self.debug(message)


def claim(folder: Path, about: dict[str, Any]) -> None:
    """Make the folder that of this comparison.

    Args:
        folder: of the comparison.
        about: what must be the same when it is resumed, by name.

    Raises:
        ConfigError: it holds another comparison, or other files.
    """
    path = folder / ABOUT
    if not path.is_file():
        # hidden names are locks and scratch folders of this run
        held = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        others = [name for name in held if not name.startswith(".")]
        if others or folder.is_file():
            problem = f"holds {others[0]} and no comparison" if others else "is a file"
            raise ConfigError(f"{folder}: {problem}; choose another -o")
        folder.mkdir(parents=True, exist_ok=True)
        with files.atomic(path) as stream:
            stream.write(orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return
    try:
        known = orjson.loads(path.read_bytes())
        known["ranges"] = with_current_names(known.get("ranges"))
        unlike = [name for name, value in orjson.loads(orjson.dumps(about)).items() if known.get(name) != value]
    except (OSError, orjson.JSONDecodeError, AttributeError):
        raise ConfigError(f"{path}: is not what eimf compare wrote; choose another -o") from None
    if unlike:
        raise ConfigError(
            f"{folder}: holds a comparison with other {' and '.join(OPTIONS.get(name, name) for name in unlike)}; "
            "give what it was made with to resume it, or choose another -o"
        )


class Trials:
    """The trainings of one comparison; what is known of each setting and seed."""

    def __init__(
        self, folder: Path, directory: Path, labels: Path | None, max_minutes: float | None, reporter: Reporter
    ) -> None:
        self.folder, self.reporter = folder, reporter
        self._directory, self._labels, self._max_minutes = directory, labels, max_minutes
        self._warned: set[str] = set()
        path = folder / TRIALS
        self.known: list[Trial] = (
            [_with_current_names(trial) for trial in jsonl.read(path, Trial)] if path.exists() else []
        )

    def find(self, backbone: str, settings: Settings, seed: int) -> Trial | None:
        """What is known of a training, also that it failed.

        Args:
            backbone: what is trained.
            settings: that differ from the defaults.
            seed: of the training.

        Returns:
            Its line of `trials.jsonl`; None where it was not run yet.
        """
        asked = (backbone, settings, seed)
        return next((trial for trial in self.known if (trial.backbone, trial.settings, trial.seed) == asked), None)

    def is_kept(self, trial: Trial) -> bool:
        """Whether the model of a training is still there."""
        manifest = self.folder / (trial.model or "") / "manifest.json"
        return trial.model is not None and manifest.is_file() and files.sha256(manifest) == trial.manifest_sha256

    def run(self, backbone: str, settings: Settings, seed: int, said: str, *, better_than: float | None) -> Trial:
        """Train, where that is not done yet; keep the model where its figure is better.

        Args:
            backbone: what is trained.
            settings: that differ from the defaults.
            seed: of the training.
            said: how many it is of how many, for people.
            better_than: NDCG@10 on the validation split that the model must exceed to be kept; None: it is kept.

        Returns:
            What came of it, with `error` where it failed and `model` where the model is kept.

        Raises:
            OSError, InputError: a full disk, or damaged data or labels: no other training would succeed.
        """
        known = self.find(backbone, settings, seed)
        if known is not None and known.error is None and (better_than is not None or self.is_kept(known)):
            return known
        target = self.folder / f"{backbone}-{seed}"
        place = self.folder / f".{backbone}-{seed}.trial"
        called = " ".join(filter(None, (f"{backbone}, seed {seed}", changed(settings))))
        try:
            # left by a run that was killed between two steps
            shutil.rmtree(place, ignore_errors=True)
            config = TrainConfig(**settings, backbone=backbone, seed=seed, max_minutes=self._max_minutes)
            reporter = TrialReporter(self.reporter, f"{said}: {called}", self._warned)
            summary = train.train(self._directory, place, config, labels=self._labels, reporter=reporter)
        except (OSError, InputError):
            # a full disk and damaged data or labels stop everything, as signals do; what fails of itself fails alone
            raise
        except Exception as error:
            trial = Trial(backbone=backbone, seed=seed, settings=settings, error=_error_text(error))
            self.reporter.warn(f"{said}: {called} failed: {trial.error}")
            _remove(place)
        else:
            trial = Trial(
                backbone=backbone, seed=seed, settings=settings, ndcg=summary.ndcg, epochs=summary.epochs,
                seconds=round(summary.seconds, 1),
            )  # fmt: skip
            if better_than is None or (summary.ndcg or 0.0) > better_than:
                trial = self._keep(trial, place, target)
            _remove(place)
            figure = "" if trial.ndcg is None else f"validation NDCG@10 {trial.ndcg:.4f} "
            limit = self._max_minutes
            cut = ", stopped by --max-minutes" if limit is not None and summary.seconds >= 60 * limit else ""
            self.reporter.note(f"{said}: {called}: {figure}in {summary.seconds:.0f} s{cut}")
        kept = [each for each in self.known if each is not known]
        if trial.model is not None:
            kept = [_without_model(each) if each.model == trial.model else each for each in kept]
        self.known = [*kept, trial]
        jsonl.write(self.folder / TRIALS, self.known)
        return trial

    def _keep(self, trial: Trial, place: Path, target: Path) -> Trial:
        artifact.check_output(target)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(place, target)
        sha256 = files.sha256(target / "manifest.json")
        return msgspec.structs.replace(trial, model=target.name, manifest_sha256=sha256)


def _with_current_names(trial: Trial) -> Trial:
    """A training with its settings as they are called today."""
    return msgspec.structs.replace(trial, settings=renamed_settings.with_current_names(trial.settings))


def _without_model(trial: Trial) -> Trial:
    """A training whose model was replaced by a better one."""
    return msgspec.structs.replace(trial, model=None, manifest_sha256=None)


def _error_text(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return (
        words if isinstance(error, EimfError) else f"{type(error).__name__}: {words}" if words else type(error).__name__
    )


def _remove(place: Path) -> None:
    """What a training leaves beside its model."""
    for folder in (place, Checkpoint(place, "").folder, ensemble.folder(place), artifact.previous(place)):
        shutil.rmtree(folder, ignore_errors=True)
