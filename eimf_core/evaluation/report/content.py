"""What stands on the report: tables and examples as plain data, and the plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.evaluation import result_tables
from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.measure import rank
from eimf_core.evaluation.metrics.accuracy import ACCURACY
from eimf_core.evaluation.report import plots
from eimf_core.evaluation.scorers import ModelSystem, Scored
from eimf_core.naming import interest_names
from eimf_core.recommend.config import RecommendConfig
from eimf_core.vectors import unit_rows

EXAMPLES = 5
HISTORY = 8
LISTED = 10
MAPPED_ITEMS = 1200
SAMPLED_USERS = 400
NAMED = 12
NEAREST = 6
CATEGORIES = 9


@dataclass(frozen=True)
class Interest:
    """One interest of an example user: its name, and the history items it attends to most."""

    number: int
    name: str
    from_items: list[str]


@dataclass(frozen=True)
class Recommended:
    """One place of an example user's list."""

    rank: int
    title: str
    interest: int
    hit: bool


@dataclass(frozen=True)
class Example:
    """A user with history, what came next, and what was recommended."""

    user: str
    history: list[str]
    earlier: int
    targets: list[str]
    more_targets: int
    interests: list[Interest]
    items: list[Recommended]


@dataclass(frozen=True)
class SampledUsers:
    """What is computed once for the model that the page shows from inside."""

    system: ModelSystem
    users: list[int]
    lists: npt.NDArray[np.int64]
    scored: Scored
    attention: npt.NDArray[np.float32]


def page(evaluation: Evaluation) -> dict[str, Any]:
    """Everything the template needs."""
    row = result_tables.main_row(evaluation)
    named = result_tables.metric_name(*row)
    seen = "dropped" if evaluation.facts["seen"] == "drop" else "kept"
    called = result_tables.short_names(evaluation)
    # interests that have names say more
    named_first = sorted(evaluation.systems, key=lambda system: not system.model.named)
    sample = _sample(evaluation, named_first[0])
    return {
        "facts": evaluation.facts,
        "seen": seen,
        "models": [called[name] for name in evaluation.contenders],
        "shown": called[sample.system.name],
        "main": named,
        "tables": result_tables.tables(evaluation),
        "baseline_wins": _verdicts(evaluation, row),
        "summary_plot": plots.figures(evaluation, row),
        "comparison_plot": plots.comparisons(evaluation),
        "curves": plots.curves(_epochs(called, evaluation.systems)),
        "slices_plot": plots.slices(evaluation, row) if row[0] in ACCURACY else None,
        "map": _map(evaluation, sample),
        "interests": _named_interests(evaluation, sample),
        "labelled": bool(sample.system.model.named),
        "examples": _examples(evaluation, sample),
    }


def _epochs(called: dict[str, str], systems: Sequence[ModelSystem]) -> dict[str, list[dict[str, Any]]]:
    """What training wrote of each model, of an ensemble of each member, by the name it is shown by."""
    found: dict[str, list[dict[str, Any]]] = {}
    for system in systems:
        for line in system.model.epochs:
            member = f", {line['member']}. {line['backbone']}" if "member" in line else ""
            found.setdefault(f"{called[system.name]}{member}", []).append(line)
    return found


def _verdicts(evaluation: Evaluation, row: result_tables.Row) -> list[tuple[str, bool]]:
    """A sentence for each model on how it stands to the baselines, and whether one is better by more than chance."""
    if not evaluation.baselines:
        return []
    called = result_tables.short_names(evaluation)
    return [
        (f"{called[name]} is {said}.", said.startswith("worse than"))
        for name in evaluation.contenders
        if (said := result_tables.verdict(evaluation, name))
    ]


def _sample(evaluation: Evaluation, system: ModelSystem) -> SampledUsers:
    """Lists and interests of a few users, drawn at random with the seed of the evaluation."""
    users = evaluation.users
    rng = np.random.default_rng(evaluation.facts["users"])
    chosen = rng.permutation(len(users))[:SAMPLED_USERS].tolist()
    lists, scored, histories = rank(system, users, chosen, evaluation.plan)
    shown = chosen[:EXAMPLES]
    _, attention = system.interests(histories[:EXAMPLES], users.times(shown), users.events(shown))
    return SampledUsers(system, chosen, lists[:, :LISTED], scored, attention)


def _titles(evaluation: Evaluation, indices: Any) -> list[str]:
    return [evaluation.dataset.items[int(index) - 1].title for index in indices]


def _examples(evaluation: Evaluation, sample: SampledUsers) -> list[Example]:
    interests, vectors = _interests_of(sample)
    namer = interest_names.open_namer(sample.system.model, RecommendConfig().name_threshold)
    sources = ranking.sources(interests, vectors, sample.lists)
    made = []
    for at, row in enumerate(sample.users[:EXAMPLES]):
        history = evaluation.users.history(row)
        known = history[sample.system.known[history]][-sample.attention.shape[2] :]
        start, end = evaluation.users.target_offsets[row : row + 2]
        targets = evaluation.users.targets[start:end]
        named = namer.names(interests[at])
        used = sorted({int(sources[at, place]) for place in range(sample.lists.shape[1]) if sample.lists[at, place]})
        made.append(
            Example(
                user=evaluation.users.user(row),
                history=_titles(evaluation, history[-HISTORY:]),
                earlier=max(0, len(history) - HISTORY),
                targets=_titles(evaluation, targets[:HISTORY]),
                more_targets=max(0, len(targets) - HISTORY),
                interests=[
                    Interest(
                        number=number,
                        name=named[number][0] or "no name near enough",
                        from_items=_titles(evaluation, _attended(sample.attention[at, number], known)),
                    )
                    for number in used
                ],
                items=[
                    Recommended(place + 1, _titles(evaluation, [item])[0], int(sources[at, place]), item in targets)
                    for place, item in enumerate(sample.lists[at])
                    if item
                ],
            )
        )
    return made


def _attended(attention: npt.NDArray[np.float32], history: npt.NDArray[np.int32]) -> list[int]:
    """The two different items of the history with the largest weights."""
    weights: dict[int, float] = {}
    for item, weight in zip(history.tolist(), attention.tolist(), strict=False):
        weights[item] = weights.get(item, 0.0) + weight
    return sorted(weights, key=lambda item: -weights[item])[:2]


def _interests_of(sample: SampledUsers) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    assert sample.scored.interests is not None and sample.scored.vectors is not None
    return sample.scored.interests, sample.scored.vectors


@dataclass(frozen=True)
class NamedInterest:
    """An interest in words: how many of the drawn users' interests are nearest to it, and its nearest items."""

    name: str
    users: int
    items: list[str]


def _named_interests(evaluation: Evaluation, sample: SampledUsers) -> list[NamedInterest]:
    """The names that most interests of the drawn users have, each with the items nearest to their mean."""
    interests, vectors = _interests_of(sample)
    flat = interests.reshape(-1, interests.shape[2])
    named = interest_names.open_namer(sample.system.model, RecommendConfig().name_threshold).names(flat)
    owners: dict[str, list[int]] = {}
    for at, (name, _) in enumerate(named):
        if name is not None:
            owners.setdefault(name, []).append(at)
    units = unit_rows(vectors)
    users_of = {name: len({at // interests.shape[1] for at in members}) for name, members in owners.items()}
    made = []
    for name in sorted(owners, key=lambda name: (-users_of[name], name))[:NAMED]:
        members = owners[name]
        mean = unit_rows(flat[members]).mean(axis=0)
        nearest = [int(item) for item in np.argsort(-(units @ mean), kind="stable")[: NEAREST + 1] if item][:NEAREST]
        made.append(NamedInterest(name, users_of[name], _titles(evaluation, nearest)))
    return made


def _map(evaluation: Evaluation, sample: SampledUsers) -> plots.Plot | None:
    """Items and the interests of the example users in one plane."""
    interests, vectors = _interests_of(sample)
    counts = evaluation.dataset.counts().copy()
    counts[~sample.system.known] = -1
    counts[0] = -1
    items = np.argsort(-counts, kind="stable")[: min(MAPPED_ITEMS, int((counts >= 0).sum()))]
    if len(items) < 5:
        return None
    shown = interests[:EXAMPLES]
    points = np.concatenate([unit_rows(vectors[items]), unit_rows(shown.reshape(-1, shown.shape[2]))])
    colours, legend = _colours(evaluation, items)
    return plots.item_map(
        plots.plane(points),
        colours,
        legend,
        users=np.repeat(np.arange(len(shown)), shown.shape[1]),
        items=len(items),
        catalogue=len(evaluation.dataset.items),
    )


def _colours(evaluation: Evaluation, items: npt.NDArray[np.int64]) -> tuple[list[int], list[str]]:
    """A colour for each item, by the first of its categories that is among the most frequent; -1 for others."""
    categories = [evaluation.dataset.items[int(item) - 1].categories for item in items]
    largest = [name for name, _ in Counter(name for names in categories for name in set(names)).most_common(CATEGORIES)]
    places = {name: at for at, name in enumerate(largest)}
    return [next((places[name] for name in names if name in places), -1) for names in categories], largest
