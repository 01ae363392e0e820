"""Answers as rows of a table: a row for each item of each list."""

from __future__ import annotations

from typing import NamedTuple

from eimf_core.recommend.query.item_lookup import Items
from eimf_core.recommend.results import Result, Results

InterestAndTitles = tuple[str | None, str | None]
"""The interest that brought an item, in words, and the titles of the history that made it."""


class Rows(NamedTuple):
    """Rows as columns: of each recommended item the user, its rank in the list, its title, score and reasons.

    `interest` is the name of the interest that brought it, or "like TITLE" with the strongest of the titles
    `because` of which it is there; both None where nothing of the history is known.
    """

    user: list[str]
    rank: list[int]
    item: list[str]
    title: list[str]
    score: list[float]
    interest: list[str | None]
    because: list[str | None]


def rows(results: Results, items: Items) -> Rows:
    """The rows of answers, in the order of the queries.

    Args:
        results: as `Recommender.results` gives them.
        items: the items of the model.

    Returns:
        The columns, one value a row each.
    """
    lists = [(place, result, at) for places, result in results for at, place in enumerate(places)]
    made = Rows([], [], [], [], [], [], [])
    for _, result, at in sorted(lists, key=lambda entry: entry[0]):
        ranked = result.lists[at]
        found = [items.item(index) for index in ranked.items]
        made.user.extend([result.queries[at].id] * len(found))
        made.rank.extend(ranked.ranks)
        made.item.extend([item.item for item in found])
        made.title.extend([item.title for item in found])
        made.score.extend(ranked.scores)
        if not ranked.interests:
            made.interest.extend([None] * len(found))
            made.because.extend([None] * len(found))
            continue
        reasons = {number: _interest_and_titles(result, at, number, items) for number in set(ranked.interests)}
        told = [reasons[number] for number in ranked.interests]
        made.interest.extend([interest for interest, _ in told])
        made.because.extend([because for _, because in told])
    return made


def _interest_and_titles(result: Result, at: int, number: int, items: Items) -> InterestAndTitles:
    assert result.names is not None
    name, _ = result.names[at][number] or (None, None)
    if result.shares is None or number >= len(result.shares[at]):
        return name, None
    titles = [items.item(index).title or items.item(index).item for index, _ in result.shares[at][number]]
    if not titles:
        return name, None
    return name or f"like {titles[0]}", "; ".join(titles)
