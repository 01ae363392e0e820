"""Interests by name, and a map of the items with the names where such interests are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.report import plots
from eimf_core.evaluation.report.sampled_users import SampledUsers, titles
from eimf_core.vectors import unit_rows

MAPPED_ITEMS = 1200
NAMED = 12
NEAREST = 6
AROUND = 10
"""Mapped items in whose midst a name stands."""
CATEGORIES = 9


@dataclass(frozen=True)
class NamedInterest:
    """An interest in words: how many of the drawn users have it, its nearest items, and its mean direction (d,)."""

    name: str
    users: int
    items: list[str]
    direction: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Map:
    """The plot, and what its colours mean: (colour, category, items)."""

    plot: plots.Plot
    legend: list[tuple[str, str, int]]


def named_interests(evaluation: Evaluation, sample: SampledUsers) -> list[NamedInterest]:
    """The names that most of the drawn users have interests of, each with the items nearest to their mean."""
    interests = sample.interests
    flat = interests.reshape(-1, interests.shape[2])
    owners: dict[str, list[int]] = {}
    for at, name in enumerate(sample.names(evaluation, flat)):
        owners.setdefault(name, []).append(at)
    units = unit_rows(sample.vectors)
    users_of = {name: len({at // interests.shape[1] for at in members}) for name, members in owners.items()}
    made = []
    for name in sorted(owners, key=lambda name: (-users_of[name], name))[:NAMED]:
        mean = unit_rows(flat[owners[name]]).mean(axis=0)
        nearest = [int(item) for item in np.argsort(-(units @ mean), kind="stable")[: NEAREST + 1] if item][:NEAREST]
        made.append(NamedInterest(name, users_of[name], titles(evaluation, nearest), mean))
    return made


def item_map(evaluation: Evaluation, sample: SampledUsers, named: list[NamedInterest]) -> Map | None:
    """The items that were learned from most, in one plane with the named interests; None with hardly any item."""
    counts = evaluation.dataset.counts().copy()
    counts[~sample.system.known] = -1
    counts[0] = -1
    items = np.argsort(-counts, kind="stable")[: min(MAPPED_ITEMS, int((counts >= 0).sum()))]
    if len(items) < 5:
        return None
    units = unit_rows(sample.vectors[items])
    places = plots.plane(units)
    # the interests of a model that follows what came last lie near each other; what they rank first does not
    names = [
        (interest.name, np.median(places[np.argsort(-(units @ interest.direction))[:AROUND]], axis=0))
        for interest in named
    ]
    colours, categories = _colours(evaluation, items)
    plot = plots.item_map(places, colours, names, len(evaluation.dataset.items))
    numbers = Counter(colours)
    legend = [(plots.colour(at), name, numbers[at]) for at, name in enumerate(categories)]
    if legend and numbers[-1]:
        legend.append((plots.GREY, "other or none", numbers[-1]))
    return Map(plot, legend)


def _colours(evaluation: Evaluation, items: npt.NDArray[np.int64]) -> tuple[list[int], list[str]]:
    """A colour for each item, by the first of its categories that is among the most frequent; -1 for others."""
    categories = [evaluation.dataset.items[int(item) - 1].categories for item in items]
    largest = [name for name, _ in Counter(name for names in categories for name in set(names)).most_common(CATEGORIES)]
    places = {name: at for at, name in enumerate(largest)}
    return [next((places[name] for name in names if name in places), -1) for names in categories], largest
