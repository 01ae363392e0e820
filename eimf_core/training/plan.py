"""What a run trains: one model, or the members of an ensemble, each with its settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError, ModelError
from eimf_core.model_directory import artifact
from eimf_core.model_directory.next_items import NextItemsConfig
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.models import registry
from eimf_core.training import warm_start
from eimf_core.training.config import TrainConfig

BESIDE_EPOCHS_FROM = ("backbone", "epochs", "max_minutes")
"""Settings that an earlier model says, and that cannot be given beside it."""


@dataclass(frozen=True)
class TrainingPlan:
    """`settings` of the run, those of each member, and the member of an earlier model that each starts from (0
    without one). Where no validation split says them, `weights` are those of the members, None: equal ones, and
    `next_items` is what the graph of next items counts, None: nothing."""

    settings: TrainConfig
    members: list[TrainConfig]
    places: list[int]
    weights: list[float] | None = None
    next_items: NextItemsConfig | None = None


def make_plan(
    settings: TrainConfig, *, epochs_from: str | Path | None = None, init: str | Path | None = None,
    given: Collection[str] = (),
) -> TrainingPlan:  # fmt: skip
    """What is to be trained.

    Args:
        settings: of the run.
        epochs_from: a model whose settings count in their place, with the epochs that it found best.
        init: a model that training starts from.
        given: names of the settings that count all the same.

    Returns:
        The settings of the run and of each member.

    Raises:
        ConfigError: settings that contradict a model.
        ModelError: a model that does not say what is asked of it.
    """
    members, weights = settings.members, None
    if epochs_from is not None:
        settings, members, weights = _from_earlier_model(epochs_from, settings, given)
    places = [0] * len(members)
    if init is not None:
        places = warm_start.places(init, members)
        earlier = artifact.open_model(init).config.members
        if weights is None and earlier:
            weights = [earlier[place].weight for place in places]
    chose = epochs_from if epochs_from is not None else init
    next_items = None if chose is None else artifact.open_model(chose).config.next_items
    return TrainingPlan(settings, members, places, weights, next_items)


def as_init(settings: TrainConfig, init: str | Path, given: Collection[str]) -> TrainConfig:
    """What `--init` makes of settings.

    Args:
        settings: of the run.
        init: the model that training starts from.
        given: the names of those settings that are no defaults.

    Returns:
        The settings, with the backbone of that model, or those of its members, unless one is given.

    Raises:
        ConfigError, ModelError: the model cannot be opened, or needs a plug-in that is not installed.
    """
    if "backbone" in given:
        return settings
    model = artifact.open_model(init)
    registry.refuse_absent(model.name, model.config.plugins)
    return replace(settings, backbone=model.config.backbone)


def _from_earlier_model(
    path: str | Path, settings: TrainConfig, given: Collection[str]
) -> tuple[TrainConfig, list[TrainConfig], list[float] | None]:
    for name in BESIDE_EPOCHS_FROM:
        if name in given:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} contradicts --epochs-from {path}, which says it; leave out one of the two")
    model = artifact.open_model(path)
    registry.refuse_absent(model.name, model.config.plugins)
    known = model.config.members
    best = [member.epochs for member in known] if known else [_best_epoch(model)]
    if any(member.ndcg is None for member in known) and not model.refitted:
        raise _no_best_epoch(model)
    chosen = {
        field.name: getattr(settings, field.name)
        for field in fields(TrainConfig)
        # where a model is trained is no part of what it is
        if field.name in given or field.metadata["group"] == "machine"
    }
    # which lines are trained on is said each time
    chosen["refit"] = settings.refit
    theirs = [member.training for member in known] or [model.config.training]
    joint = _read(model, {**model.config.training, "backbone": model.config.backbone, **chosen})
    names = [str(member["backbone"]) for member in theirs] if known else [joint.backbone]
    own = [member.seed for member in replace(joint, hyperparameters={}).members] if "seed" in given else None
    members = []
    for at, (name, training, epochs) in enumerate(zip(names, theirs, best, strict=True)):
        seed = {} if own is None else {"seed": own[at]}
        said = {**training, **chosen, **seed, "backbone": name, "epochs": epochs, "max_minutes": None}
        members.append(_read(model, said))
    settings = replace(joint, epochs=max(best), max_minutes=None)
    return settings, members, [member.weight for member in known] or None


def _best_epoch(model: OpenedModel) -> int:
    """The epoch with the best validation figure."""
    if model.refitted:
        return len(model.epochs)
    measured = [line for line in model.epochs if "valid" in line]
    if not measured:
        raise _no_best_epoch(model)
    # the first of equals, as in training
    return int(max(measured, key=lambda line: float(line["valid"]["ndcg@10"]))["epoch"])


def _no_best_epoch(model: OpenedModel) -> ModelError:
    return ModelError(f"{model.name}: was trained without a validation split, so that no epoch is its best")


def _read(model: OpenedModel, training: dict[str, Any]) -> TrainConfig:
    known = {field.name for field in fields(TrainConfig)}
    if unknown := sorted(set(training) - known):
        gone = ", ".join(unknown)
        raise ModelError(f"{model.name}: was trained by another version, with settings that are gone: {gone}")
    return TrainConfig(**training)
