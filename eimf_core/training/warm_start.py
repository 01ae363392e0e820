"""Warm start (`--init`): training goes on from an earlier model, with the items of today.

Item vectors go over by item id. An item that the model does not know is put where its text says, by
the model's own map from text to item vectors, or by one fitted to the items that both know where the
text encoder is another; an item without a text is drawn as in a fresh table. Items that are gone are
left out. Optimisers start afresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import files
from eimf_core.model_directory import artifact
from eimf_core.model_directory.model_members import Member
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.models import registry
from eimf_core.numeric.arrays import AnyFloats, Floats
from eimf_core.progress import Reporter
from eimf_core.training import item_embeddings, text_projection
from eimf_core.training.config import TrainConfig
from eimf_core.training.item_embeddings import ItemTable
from eimf_core.training.learner import Learner
from eimf_core.training.side_information import feature_names

FEATURES = "encoder.features"  # the rows of this parameter belong to categories, by `side.feature_names`
BEHAVIOURS = "behaviours"  # those of this one to kinds of behaviour


@dataclass(frozen=True)
class WarmStartCounts:
    """What a run took over: items `kept`, new ones `placed` by their text or `drawn`, old ones `gone`, and
    the parameters of the network that had to start `afresh`."""

    kept: int
    placed: int
    drawn: int
    gone: int
    afresh: int


class WarmStart:
    """An earlier model that a run starts from.

    Raises:
        ConfigError: when the settings do not fit it.
        ModelError: when it is broken.
    """

    def __init__(self, path: str | Path, settings: TrainConfig, member: int = 0) -> None:
        """`member`: the place of the one to start from among the members of an ensemble."""
        self.path, self._label_init = path, settings.label_init
        self._model = artifact.open_model(path)
        self._member = self._model.members[member]
        _check(path, self._model, self._member, settings)
        self._sha256 = files.sha256(manifest(path))

    def apply(
        self, learner: Learner, data: Dataset, text: AnyFloats | None, encoder: str | None, events: list[str],
        reporter: Reporter,
    ) -> dict[str, Any]:  # fmt: skip
        """Let a learner start from the model.

        Args:
            learner: is changed.
            data: today's items.
            text: the items' text vectors (N + 1, D) where item vectors come from text.
            encoder: the identity of the text encoder in use.
            events: the kinds of behaviour that the learner knows.
            reporter: hears what was taken over.

        Returns:
            What was done, for the manifest.
        """
        model, member, table = self._model, self._member, learner.table
        places = data.vocab.indices(item.item for item in model.catalogue)
        known = np.zeros(len(data.items) + 1, dtype=bool)
        known[places] = True
        known[0] = True
        same_encoder = encoder is not None and encoder == model.config.text_encoder
        text_to_items = None
        if text is not None:
            known_map = same_encoder and member.text_map
            text_to_items = member.text_map if known_map else _fitted(text, member.vectors, places)
        placed = _fill(table, member.vectors, places, known, text, text_to_items, learner.generator)
        adapter = member.adapter if same_encoder and member.adapter is not None else None
        if adapter is None and text_to_items is not None and self._label_init and text_to_items[0].any():
            # words start where the model has items with such titles
            adapter = text_to_items
        if learner.adapter is not None and adapter is not None:
            _copy(learner.adapter, {"weight": adapter[0], "bias": adapter[1]})
        afresh = _copy(learner.backbone, self._network(data, events))
        kept, new = int((places > 0).sum()), int((~known).sum())
        taken = WarmStartCounts(kept, placed, new - placed, len(places) - kept, len(afresh))
        if not kept:
            reporter.warn(f"{self.path}: none of its items is in this data; only its network is taken over")
        if afresh:
            reporter.warn(f"{self.path}: of another shape, and not taken over: {', '.join(afresh[:3])}")
        reporter.note(
            f"starts from {self.path}: {kept:,} items kept, {placed:,} new ones placed by their text, "
            f"{taken.drawn:,} at random, {taken.gone:,} gone"
        )
        return {"model": str(self.path), "manifest_sha256": self._sha256, **asdict(taken)}

    def _network(self, data: Dataset, events: list[str]) -> dict[str, Floats]:
        """The weights of the network, those of categories and of kinds of behaviour in today's order."""
        model, weights = self._model, dict(self._member.network)
        if FEATURES in weights:
            before = feature_names(list(model.catalogue))
            weights[FEATURES] = _by_name(weights[FEATURES], before, feature_names(data.items))
        unknown = np.zeros((1, self._member.dimension), dtype=np.float32)
        weights[BEHAVIOURS] = _by_name(weights.get(BEHAVIOURS, unknown), model.config.events, events)
        return weights


def _by_name(stored: Floats, before: list[str], now: list[str]) -> Floats:
    """The rows (n + 1, d) of these names; what is new has no say until it is learned: zeros."""
    rows = np.zeros((len(now) + 1, stored.shape[1]), dtype=np.float32)
    rows[0] = stored[0]
    places = {name: at for at, name in enumerate(before, start=1)}
    for at, name in enumerate(now, start=1):
        if name in places:
            rows[at] = stored[places[name]]
    return rows


def manifest(path: str | Path) -> Path:
    """The file whose hash stands for a model: it holds the hashes of all others."""
    return Path(path) / "manifest.json"


def places(path: str | Path, members: Sequence[TrainConfig]) -> list[int]:
    """From which member of an earlier model each member of a run starts: the one of its name.

    Raises:
        ConfigError: the model has other members, or the settings of one do not fit it.
    """
    model = artifact.open_model(path)
    theirs, wanted = [member.backbone for member in model.members], [settings.backbone for settings in members]
    if sorted(theirs) != sorted(wanted):
        raise _differs(path, "backbone", model.config.backbone, "+".join(wanted))
    found = []
    for at, (name, settings) in enumerate(zip(wanted, members, strict=True)):
        same = [place for place, known in enumerate(theirs) if known == name]
        place = same[wanted[:at].count(name)]
        _check(path, model, model.members[place], settings)
        found.append(place)
    return found


def _differs(path: str | Path, name: str, theirs: object, ours: object) -> ConfigError:
    return ConfigError(
        f"--init {path}: its {name} is {theirs}, this run's {ours}; give --{name} {theirs} or start without it"
    )


def _check(path: str | Path, model: OpenedModel, member: Member, settings: TrainConfig) -> None:
    wanted = {
        "backbone": (member.backbone, settings.backbone),
        "dimension": (member.dimension, settings.dimension),
        "interests": (member.interests, registry.interests_of(settings.backbone, settings.interests)),
    }
    for name, (theirs, ours) in wanted.items():
        if theirs != ours:
            raise _differs(path, name, theirs, ours)
    if model.scale is None:
        raise ConfigError(f"--init {path}: scores by inner products, and training is by cosines; start without it")
    if not member.network:
        raise ModelError(f"{path}: keeps no weights of its network to start from; train it again")


def _fitted(text: AnyFloats, vectors: Floats, places: npt.NDArray[np.int32]) -> tuple[Floats, Floats]:
    """A map from text to item vectors by the items that model and data both know."""
    both = np.flatnonzero(places)
    return text_projection.fit(text[np.append(0, places[both])], vectors[np.append(0, both + 1)])


@torch.no_grad()
def _fill(
    table: ItemTable, vectors: Floats, places: npt.NDArray[np.int32], known: npt.NDArray[np.bool_],
    text: AnyFloats | None, text_to_items: tuple[Floats, Floats] | None, generator: torch.Generator,
) -> int:  # fmt: skip
    """Give every row of the table its vector; how many new items their text has placed.

    vectors (n + 1, d) of the earlier model, whose item i is row places[i - 1] today, 0 where it is gone;
    known (N + 1,) where a row has a vector from there.
    """
    both, placed = np.flatnonzero(places), 0
    for start in range(0, len(both), item_embeddings.CHUNK):
        part = both[start : start + item_embeddings.CHUNK]
        table.weight[torch.from_numpy(places[part].astype(np.int64))] = torch.from_numpy(vectors[part + 1])
    new = np.flatnonzero(~known)
    for start in range(0, len(new), item_embeddings.CHUNK):
        part = new[start : start + item_embeddings.CHUNK]
        drawn = torch.empty(len(part), table.weight.shape[1]).normal_(generator=generator) * item_embeddings.DEVIATION
        if text is not None and text_to_items is not None:
            words = text[part].astype(np.float32)
            there = torch.from_numpy(words.any(axis=1))
            there &= bool(text_to_items[0].any())
            placed += int(there.sum())
            # a little noise keeps items with the same text apart
            by_text = torch.from_numpy(words @ text_to_items[0].T + text_to_items[1]) + item_embeddings.NOISE * drawn
            drawn = torch.where(there[:, None], by_text, drawn)
        table.weight[torch.from_numpy(part)] = drawn
    return placed


@torch.no_grad()
def _copy(module: torch.nn.Module, weights: dict[str, Floats]) -> list[str]:
    """Take over what has the same name and shape; the names of what has not."""
    afresh = []
    for name, value in module.state_dict().items():
        if name in weights and weights[name].shape == tuple(value.shape):
            value.copy_(torch.from_numpy(np.array(weights[name])))
        else:
            afresh.append(name)
    return afresh
