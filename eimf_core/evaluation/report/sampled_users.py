"""The users that the page shows from inside: drawn at random, with their lists, interests and hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.measure import rank
from eimf_core.evaluation.scorers import ModelSystem, Scored
from eimf_core.naming import interest_names
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats, ShortInts
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.interest_splitting import shares, split_by_name
from eimf_core.recommend.results import RankedList

SHOWN = 24
DRAWN = 400
HISTORY = 8
LISTED = 10
REASONS = 2
"""Items of a history that are told behind an interest, at most."""
UNNAMED = "without a name"


@dataclass(frozen=True)
class ListedInterest:
    """An interest that a list comes from, as `recommend` tells it.

    Attributes:
        number: from 1, in the order in which its first items stand.
        name: in words, or "like" and what made most of it.
        from_items: titles of the history items behind it.
        items: those of the list, as indices of the data set.
    """

    number: int
    name: str
    from_items: list[str]
    items: list[int]


@dataclass(frozen=True)
class SampledUsers:
    """What is computed once.

    Attributes:
        system: the model.
        users: places of the n users among those evaluated.
        lists: (n, k) item indices, 0 where a list ends.
        vectors: of the items, (N + 1, d).
        interests: that the list of each user comes from.
    """

    system: ModelSystem
    users: list[int]
    lists: npt.NDArray[np.int64]
    vectors: Floats
    interests: list[list[ListedInterest]]


@dataclass(frozen=True)
class Recommended:
    """One place of a shown user's list."""

    title: str
    interest: int
    hit: bool


@dataclass(frozen=True)
class Example:
    """A user with history, what came next, and what was recommended."""

    user: str
    length: int
    history: list[str]
    targets: list[str]
    more_targets: int
    interests: list[ListedInterest]
    items: list[Recommended]

    @property
    def hits(self) -> int:
        return sum(item.hit for item in self.items)


def draw(evaluation: Evaluation, system: ModelSystem) -> SampledUsers:
    """Lists and interests of a few hundred users, the same whatever the model."""
    users = evaluation.users
    chosen = np.random.default_rng(len(users)).permutation(len(users))[:DRAWN].tolist()
    lists, scored, histories = rank(system, users, chosen, evaluation.plan)
    _, attention = system.interests(histories, users.times(chosen), users.events(chosen))
    assert scored.vectors is not None
    lists = lists[:, :LISTED]
    return SampledUsers(system, chosen, lists, scored.vectors, _interests(system, lists, scored, histories, attention))


def _interests(
    system: ModelSystem, lists: npt.NDArray[np.int64], scored: Scored, histories: Sequence[ShortInts], attention: Floats
) -> list[list[ListedInterest]]:
    """What each list comes from; `attention` (n, K, L)."""
    assert scored.interests is not None and scored.vectors is not None
    namer = interest_names.open_namer(system.model, RecommendConfig().name_threshold)
    number = scored.interests.shape[1]
    sources = ranking.sources(scored.interests, scored.vectors, lists).tolist()
    listed = [own[own > 0] for own in lists]
    ranked = [
        RankedList(system.rows(own).tolist(), [], brought[: len(own)])
        for own, brought in zip(listed, sources, strict=True)
    ]
    shown, parts = split_by_name(ranked, namer, number, [number] * len(ranked))
    read = [system.rows(history[system.known[history]][-attention.shape[2] :]) for history in histories]
    reasons = shares(parts, attention, read, namer, REASONS, 0.0)
    made: list[list[ListedInterest]] = [[] for _ in listed]
    for row, own in enumerate(parts):
        for part in own:
            behind = [system.model.catalogue.item(index).title for index, _ in reasons[row][part.number]]
            name = namer.names[part.name] if part.name >= 0 else f"like {behind[0]}" if behind else UNNAMED
            brought = zip(listed[row], shown[row].interests, strict=True)
            items = [int(item) for item, source in brought if source == part.number]
            made[row].append(ListedInterest(len(made[row]) + 1, name, behind, items))
    return made


def titles(evaluation: Evaluation, indices: Any) -> list[str]:
    """Titles of items by index."""
    return [evaluation.dataset.items[int(index) - 1].title for index in indices]


def examples(evaluation: Evaluation, sample: SampledUsers) -> list[Example]:
    """The users who are shown."""
    made = []
    for at, row in enumerate(sample.users[:SHOWN]):
        history = evaluation.users.history(row)
        start, end = evaluation.users.target_offsets[row : row + 2]
        targets = evaluation.users.targets[start:end]
        number_of = {item: interest.number for interest in sample.interests[at] for item in interest.items}
        made.append(
            Example(
                user=evaluation.users.user(row),
                length=len(history),
                history=titles(evaluation, history[-HISTORY:]),
                targets=titles(evaluation, targets[:HISTORY]),
                more_targets=max(0, len(targets) - HISTORY),
                interests=sample.interests[at],
                items=[
                    Recommended(titles(evaluation, [item])[0], number_of[int(item)], bool(item in targets))
                    for item in sample.lists[at]
                    if item
                ],
            )
        )
    return made
