"""Interests by name, and a map of the items with the names where such interests are."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.report import plots
from eimf_core.evaluation.report.sampled_users import SampledUsers, titles
from eimf_core.numeric.vectors import unit_rows

MAPPED_ITEMS = 1200
NAMED = 12
LISTED = 6
AROUND = 10
"""Items in whose midst a name stands."""
CATEGORIES = 9


@dataclass(frozen=True)
class NamedInterest:
    """An interest in words.

    Attributes:
        name: as `recommend` tells it.
        users: how many of the drawn users have items of it in their lists.
        items: titles of those that are listed most for it.
        listed: indices of these and of some more.
    """

    name: str
    users: int
    items: list[str]
    listed: list[int]


@dataclass(frozen=True)
class Map:
    """The plot, and what its colours mean: (colour, category, items)."""

    plot: plots.Plot
    legend: list[tuple[str, str, int]]


def named_interests(evaluation: Evaluation, sample: SampledUsers) -> list[NamedInterest]:
    """The interests that the lists of most of the drawn users come from, each with the items listed most for it."""
    users: Counter[str] = Counter()
    listed: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for interests in sample.interests:
        users.update({interest.name for interest in interests})
        for interest in interests:
            listed[interest.name].update(interest.items)
    made = []
    for name in sorted(users, key=lambda name: (-users[name], name))[:NAMED]:
        items = [item for item, _ in listed[name].most_common(AROUND)]
        made.append(NamedInterest(name, users[name], titles(evaluation, items[:LISTED]), items))
    return made


def item_map(evaluation: Evaluation, sample: SampledUsers, named: list[NamedInterest]) -> Map | None:
    """The items that were learned from most, in one plane with the named interests.

    Args:
        evaluation: what was measured.
        sample: the model whose items are shown.
        named: interests, which stand amid what they bring.

    Returns:
        The plot and its legend; None with hardly any item.
    """
    counts = evaluation.dataset.counts().copy()
    counts[~sample.system.known] = -1
    counts[0] = -1
    items = np.argsort(-counts, kind="stable")[: min(MAPPED_ITEMS, int((counts >= 0).sum()))]
    if len(items) < 5:
        return None
    places = plots.plane(unit_rows(sample.vectors[items]))
    place_of = {int(item): at for at, item in enumerate(items)}
    # the interests of a model that follows what came last lie near each other; what they bring does not
    amid = {interest.name: [place_of[item] for item in interest.listed if item in place_of] for interest in named}
    names = [(name, np.median(places[own], axis=0)) for name, own in amid.items() if own]
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
