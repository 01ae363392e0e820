"""The users that the page shows from inside: drawn at random, with their lists, interests and hits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.measure import rank
from eimf_core.evaluation.scorers import ModelSystem, Scored
from eimf_core.naming import interest_names
from eimf_core.recommend.config import RecommendConfig
from eimf_core.vectors import unit_rows

Floats = npt.NDArray[np.float32]
SHOWN = 24
DRAWN = 400
HISTORY = 8
LISTED = 10


@dataclass(frozen=True)
class SampledUsers:
    """What is computed once: places of the `users` (n,) among those evaluated, their `lists` (n, k), and the
    `attention` (m, K, L) of the first of them, who are shown."""

    system: ModelSystem
    users: list[int]
    lists: npt.NDArray[np.int64]
    scored: Scored
    attention: Floats

    @property
    def interests(self) -> Floats:
        """Of the users, (n, K, d)."""
        assert self.scored.interests is not None
        return self.scored.interests

    @property
    def vectors(self) -> Floats:
        """Of the items, (N + 1, d)."""
        assert self.scored.vectors is not None
        return self.scored.vectors

    @cached_property
    def namer(self) -> interest_names.Namer:
        """What names the interests of the model, as `eimf recommend` does."""
        return interest_names.open_namer(self.system.model, RecommendConfig().name_threshold)

    @cached_property
    def _units(self) -> Floats:
        return unit_rows(self.vectors)

    def names(self, evaluation: Evaluation, interests: Floats) -> list[str]:
        """Of interests (n, d): a name each, or the nearest item where none is near enough."""
        named = [name for name, _ in self.namer.of_vectors(interests)]
        without = [at for at, name in enumerate(named) if name is None]
        # place 0 is no item
        nearest = (unit_rows(interests[without]) @ self._units[1:].T).argmax(axis=1) + 1
        like = dict(zip(without, titles(evaluation, nearest), strict=True))
        return [name if name is not None else f"like {like[at]}" for at, name in enumerate(named)]


@dataclass(frozen=True)
class Interest:
    """One interest of a shown user: its name, and the history items it attends to most."""

    number: int
    name: str
    from_items: list[str]


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
    interests: list[Interest]
    items: list[Recommended]

    @property
    def hits(self) -> int:
        return sum(item.hit for item in self.items)


def draw(evaluation: Evaluation, system: ModelSystem) -> SampledUsers:
    """Lists and interests of a few hundred users, the same whatever the model."""
    users = evaluation.users
    chosen = np.random.default_rng(len(users)).permutation(len(users))[:DRAWN].tolist()
    lists, scored, histories = rank(system, users, chosen, evaluation.plan)
    shown = chosen[:SHOWN]
    _, attention = system.interests(histories[:SHOWN], users.times(shown), users.events(shown))
    return SampledUsers(system, chosen, lists[:, :LISTED], scored, attention)


def titles(evaluation: Evaluation, indices: Any) -> list[str]:
    """Titles of items by index."""
    return [evaluation.dataset.items[int(index) - 1].title for index in indices]


def examples(evaluation: Evaluation, sample: SampledUsers) -> list[Example]:
    """The users who are shown."""
    made = []
    shown = slice(SHOWN)
    sources = ranking.sources(sample.interests[shown], sample.vectors, sample.lists[shown])
    for at, row in enumerate(sample.users[shown]):
        history = evaluation.users.history(row)
        known = history[sample.system.known[history]][-sample.attention.shape[2] :]
        start, end = evaluation.users.target_offsets[row : row + 2]
        targets = evaluation.users.targets[start:end]
        named = sample.names(evaluation, sample.interests[at])
        used = sorted({int(sources[at, place]) for place in range(sample.lists.shape[1]) if sample.lists[at, place]})
        made.append(
            Example(
                user=evaluation.users.user(row),
                length=len(history),
                history=titles(evaluation, history[-HISTORY:]),
                targets=titles(evaluation, targets[:HISTORY]),
                more_targets=max(0, len(targets) - HISTORY),
                interests=[
                    Interest(
                        number=number + 1,
                        name=named[number],
                        from_items=titles(evaluation, _attended(sample.attention[at, number], known)),
                    )
                    for number in used
                ],
                items=[
                    Recommended(titles(evaluation, [item])[0], int(sources[at, place]) + 1, bool(item in targets))
                    for place, item in enumerate(sample.lists[at])
                    if item
                ],
            )
        )
    return made


def _attended(attention: Floats, history: npt.NDArray[np.int32]) -> list[int]:
    """The two different items of the history with the largest weights."""
    weights: dict[int, float] = {}
    for item, weight in zip(history.tolist(), attention.tolist(), strict=False):
        weights[item] = weights.get(item, 0.0) + weight
    return sorted(weights, key=lambda item: -weights[item])[:2]
