"""Models that were trained by themselves become the members of one: their weights, and the joint model directory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, ModelError
from eimf_core.evaluation.scorers import Events, ModelSystem, Scored, System, Times
from eimf_core.model_directory.artifact import Contents
from eimf_core.model_directory.model_members import MemberBlocks, MemberConfig
from eimf_core.model_directory.opened_model import ModelConfig, OpenedModel
from eimf_core.models import registry
from eimf_core.models.backbone import Backbone
from eimf_core.models.shape import Shape
from eimf_core.numeric.arrays import Floats, ShortInts
from eimf_core.progress import Reporter
from eimf_core.training import export, member_weights
from eimf_core.training.joint_network import JointNetwork
from eimf_core.training.validation import sampled_users

MIN_WEIGHT = 0.005
"""A member with a smaller weight leaves."""
MAX_INTERESTS = 64
"""Interests of a user that an ensemble may have: every list takes that many products with each item."""


@dataclass(frozen=True)
class Ensemble:
    """Members with their weights (M,), the sum 1, each above 0, those with several interests first.

    `ndcg` is the NDCG@10 on the validation split, `alone` (M,) those of the members; None where the weights were not
    chosen there.
    """

    members: list[OpenedModel]
    weights: list[float]
    ndcg: float | None = None
    alone: list[float] | None = None

    @property
    def described(self) -> str:
        """The weights in words, with the figures that they were chosen by."""
        names = (
            f"{member.config.backbone} {weight:.2f}" for member, weight in zip(self.members, self.weights, strict=True)
        )
        figures = ""
        if self.ndcg is not None and self.alone is not None:
            figures = f"; validation NDCG@10 {self.ndcg:.4f} (best member {max(self.alone):.4f})"
        return f"ensemble: {', '.join(names)}{figures}"


class WeightedSystem:
    """Weighted members as what is evaluated, before they are joined."""

    name = "the ensemble"

    def __init__(self, systems: Sequence[System], weights: Sequence[float]) -> None:
        self._systems, self._weights = systems, weights

    def score(self, histories: Sequence[ShortInts], times: Times = None, events: Events = None) -> Scored:
        """The weighted sums of the members' scores of all items after each history."""
        parts = [system.score(histories, times, events).values for system in self._systems]
        values = self._weights[0] * parts[0]
        for weight, part in zip(self._weights[1:], parts[1:], strict=True):
            values += weight * part
        return Scored(values)


def choose(
    systems: Sequence[ModelSystem], data: Dataset, *, given: Sequence[float] | None, valid_users: int, seed: int,
    reporter: Reporter,
) -> Ensemble:  # fmt: skip
    """Weigh models that are to be joined.

    Args:
        systems: the opened models, all of the same catalogue.
        data: with a validation split, which the weights are chosen on, or without one.
        given: the weights where there is no such split; None for equal ones.
        valid_users: users of the split that are asked at most, 0 for all.
        seed: draws them.
        reporter: hears of progress.

    Returns:
        The models with their weights, and the figures behind these.
    """
    models = [system.model for system in systems]
    equal = [1.0 / len(models)] * len(models)
    chosen = None
    if len(models) > 1 and "valid" in data.splits and len(data.splits["valid"]):
        known = [system.known for system in systems]
        users, rows = sampled_users(data, valid_users, np.random.default_rng(seed), known)
        if len(rows):
            chosen = member_weights.choose(member_weights.blocks(systems, users, rows, len(data.vocab) + 1, reporter))
    weights = list(given or equal) if chosen is None else chosen.weights.tolist()
    kept = [at for at, weight in enumerate(weights) if weight >= MIN_WEIGHT]
    kept.sort(key=lambda at: models[at].config.interests == 1)
    total = sum(weights[at] for at in kept)
    made = Ensemble([models[at] for at in kept], [weights[at] / total for at in kept])
    if chosen is None:
        return made
    for name in [model.config.backbone for at, model in enumerate(models) if at not in kept]:
        reporter.note(f"{name} adds nothing to the others on the validation split and is left out")
    return Ensemble(made.members, made.weights, chosen.ndcg, chosen.members.tolist())


def check(models: Sequence[OpenedModel], data: Dataset) -> None:
    """ConfigError where models cannot be joined: all must have the catalogue of the data, and read the same things."""
    for model in models:
        registry.refuse_absent(model.name, model.config.plugins)
    ids = [item.item for item in data.items]
    for model in models:
        if model.config.members:
            raise ConfigError(f"{model.name}: is an ensemble; join models that are none")
        if model.scale is None:
            raise ConfigError(f"{model.name}: scores by inner products, and an ensemble adds cosines")
        if [item.item for item in model.catalogue] != ids:
            raise ConfigError(f"{model.name}: has other items than {data.directory}; train all on the same data")
        if model.named != models[0].named:
            raise ConfigError(f"{model.name}: has other labels than {models[0].name}; train all with the same")
    for name, known in (
        ("max_length", lambda config: config.max_length),
        ("kinds of behaviour", lambda config: ", ".join(config.events)),
        ("text encoder", lambda config: config.text_encoder),
    ):
        values = {known(model.config): model.name for model in models if known(model.config)}
        if len(values) > 1:
            (one, first), (other, second) = list(values.items())[:2]
            raise ConfigError(f"{second}: its {name}: {other}, that of {first}: {one}; train all members alike")
    number = math.prod(model.config.interests for model in models)
    if number > MAX_INTERESTS:
        raise ConfigError(
            f"the ensemble has {number} interests a user, the product of its members', and {MAX_INTERESTS} are the "
            "most; train with fewer --interests, or take fewer members with several"
        )


def contents(ensemble: Ensemble, data: Dataset, *, training: dict[str, Any], provenance: dict[str, Any]) -> Contents:
    """Everything `artifact.write` needs for the joint model, without a graph of next items and groups of items.

    Args:
        ensemble: members, of which `check` has nothing to say, and their weights.
        data: the items.
        training: the configuration of the run, for people.
        provenance: for the manifest.

    Returns:
        The files of a model directory, in memory.
    """
    models, weights = ensemble.members, ensemble.weights
    if len(models) == 1:
        return _single_model(ensemble, data, provenance)
    described = [_described(model, weight) for model, weight in zip(models, weights, strict=True)]
    joint = JointNetwork([backbone(model) for model in models], weights)
    blocks = MemberBlocks([each.dimension for each in described], weights)
    vectors, lengths = blocks.joint(np.concatenate([model.vectors for model in models], axis=1))
    lengths[0] = 0.0
    arrays: dict[str, npt.NDArray[Any]] = {
        "item_vectors": vectors,
        "item_lengths": lengths,
        "item_counts": models[0].counts,
        # the weighted sum of the members' cosines as it is
        "item_scale": (np.arange(len(vectors)) > 0).astype(np.float32),
    }
    features = next((model.features for model in models if model.features is not None), None)
    if features is not None:
        arrays["item_features"] = features
    arrays |= _stacked("adapter", [model.adapter for model in models])
    arrays |= _stacked("text", [model.text_map for model in models])
    if models[0].named:
        arrays["named_vectors"] = blocks.joint(np.concatenate([model.named_vectors for model in models], axis=1))[0]
    for number, model in enumerate(models, start=1):
        arrays |= {f"backbone.{number}.{name}": part for name, part in model.members[0].network.items()}
    config = ModelConfig(
        backbone="+".join(each.backbone for each in described),
        items=len(data.items),
        dimension=vectors.shape[1],
        interests=joint.shape.interests,
        max_length=joint.shape.max_length,
        text_encoder=next((model.config.text_encoder for model in models if model.config.text_encoder), None),
        text_dimension=next((model.config.text_dimension for model in models if model.config.text_dimension), None),
        events=next((model.config.events for model in models if model.config.events), []),
        seed=training.get("seed", models[0].config.seed),
        members=described,
        plugins={name: package for model in models for name, package in model.config.plugins.items()},
        training=training,
    )
    return Contents(
        config=config,
        items=data.items,
        weights=arrays,
        network=export.network(joint, 0 if features is None else features.shape[1]),
        named=models[0].named,
        epochs=_lines(ensemble),
        provenance=provenance,
    )


def _single_model(ensemble: Ensemble, data: Dataset, provenance: dict[str, Any]) -> Contents:
    """The only member that stayed, as the ordinary model that it is."""
    (model,) = ensemble.members
    return Contents(
        config=msgspec.structs.replace(model.config, next_items=None),
        items=data.items,
        weights=model.weights,
        network=model.network,
        named=model.named,
        epochs=[*model.epochs, _weighed(ensemble)],
        provenance=provenance,
    )


def backbone(model: OpenedModel) -> Backbone:
    """The network of a model that is no ensemble, ready for inference; ModelError where its weights do not fit it."""
    config, network = model.config, model.members[0].network
    features = network.get("encoder.features")
    shape = Shape(
        dimension=config.dimension,
        interests=config.interests,
        max_length=config.max_length,
        dropout=0.0,
        features=0 if features is None else len(features) - 1,
        events=len(config.events),
    )
    made = registry.build(
        config.backbone, shape, torch.Generator().manual_seed(0), config.training.get("hyperparameters")
    )
    try:
        made.load_state_dict({name: torch.from_numpy(np.array(part)) for name, part in network.items()})
    except RuntimeError as error:
        raise ModelError(f"{model.name}: its weights do not fit its backbone ({str(error).splitlines()[0]})") from None
    made.side_inputs = tuple(name for name in made.side_inputs if name in model.network_inputs)
    return made.eval()


def _stacked(name: str, maps: Sequence[tuple[Floats, Floats] | None]) -> dict[str, Floats]:
    """The maps of all members from text as one, where all have one."""
    known = [each for each in maps if each is not None]
    if len(known) < len(maps):
        return {}
    return {
        f"{name}_weight": np.concatenate([weight for weight, _ in known]),
        f"{name}_bias": np.concatenate([bias for _, bias in known]),
    }


def _described(model: OpenedModel, weight: float) -> MemberConfig:
    config = model.config
    measured = [line for line in model.epochs if "valid" in line]
    # the first of equals, as in training
    best = max(measured, key=lambda line: float(line["valid"]["ndcg@10"]), default=None)
    return MemberConfig(
        backbone=config.backbone,
        dimension=config.dimension,
        interests=config.interests,
        weight=weight,
        epochs=int(best["epoch"]) if best else len(model.epochs),
        ndcg=float(best["valid"]["ndcg@10"]) if best else None,
        training=config.training,
    )


def _lines(ensemble: Ensemble) -> list[dict[str, Any]]:
    """The epochs of all members, and at last what they weigh."""
    made: list[dict[str, Any]] = []
    for number, model in enumerate(ensemble.members, start=1):
        made += [{"member": number, "backbone": model.config.backbone, **line} for line in model.epochs]
    return [*made, _weighed(ensemble)]


def _weighed(ensemble: Ensemble) -> dict[str, Any]:
    members = []
    for model, weight in zip(ensemble.members, ensemble.weights, strict=True):
        about = _described(model, weight)
        members.append({"backbone": about.backbone, "weight": weight, "epochs": about.epochs, "ndcg@10": about.ndcg})
    return {"ensemble": {"members": members, "ndcg@10": ensemble.ndcg}}
