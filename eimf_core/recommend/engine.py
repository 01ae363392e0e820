"""The answers: queries in, recommendations out, through interests, ranking and naming.

Three kinds of query are ranked: with a history, by its interests (words pull each of them); with
words alone, by their place in the item space; with nothing that is known, by popularity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.artifact import Model
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import anchors, answers, approximate, lists, variety
from eimf_core.recommend.answers import Block
from eimf_core.recommend.asking import Asked, Floats
from eimf_core.recommend.catalogue import Items
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.lines import Lines
from eimf_core.recommend.lists import Ranked
from eimf_core.recommend.naming import Named, Names, names_of, units
from eimf_core.records import Recommendation

T = TypeVar("T")

LARGEST_SCORES = 1 << 22
"""Scores held at once: bounds the memory of a batch."""
LARGEST_BATCH = 256
"""Queries answered together: more gain nothing, and wait longer."""


class Recommender:
    """Answers queries with a model. `allowed` (N + 1,) says what may be listed at all, None for everything."""

    def __init__(
        self,
        model: Model,
        items: Items,
        settings: RecommendConfig,
        *,
        allowed: npt.NDArray[np.bool_] | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        self.model, self.items, self.settings, self.allowed = model, items, settings, allowed
        self._reporter = reporter
        self._names: Names | None = None
        self._lines = Lines(items)
        self._index = approximate.index_of(model) if settings.index else None
        self._told = False

    @property
    def batch_size(self) -> int:
        """How many queries are best answered together."""
        return max(1, min(LARGEST_BATCH, LARGEST_SCORES // len(self.model.vectors)))

    def answer(self, asked: Sequence[Asked]) -> list[Recommendation]:
        """The answers in the order of the queries."""
        return self._in_order(asked, lambda block: list(answers.records(block, self.items)))

    def lines(self, asked: Sequence[Asked]) -> list[bytes]:
        """The answers as lines, in the order of the queries."""
        return self._in_order(asked, self._lines.of)

    def _in_order(self, asked: Sequence[Asked], write: Callable[[Block], list[T]]) -> list[T]:
        """What `write` makes of the answers to queries of one kind, a bounded number together."""
        made: dict[int, T] = {}
        kinds: dict[str, list[int]] = {}
        for at, query in enumerate(asked):
            kinds.setdefault(_kind(query), []).append(at)
        for kind, rows in kinds.items():
            for start in range(0, len(rows), self.batch_size):
                chunk = rows[start : start + self.batch_size]
                made |= zip(chunk, write(self._answer(kind, [asked[at] for at in chunk])), strict=True)
        return [made[at] for at in range(len(asked))]

    def _answer(self, kind: str, asked: Sequence[Asked]) -> Block:
        if kind == "popularity":
            return Block(asked, self._popular(asked), fallback="popularity")
        if kind == "words":
            own = _stacked(asked)
            return Block(asked, self._ranked(own, asked), self.names(own))
        own, attention = self.interests(asked)
        most = self.settings.anchors
        return Block(
            asked,
            self._ranked(pulled(own, asked), asked),
            self.names(own),
            self.shares(asked, attention, most) if most else None,
        )

    def interests(self, asked: Sequence[Asked]) -> tuple[Floats, Floats]:
        """Interests (B, K, d) and attention (B, K, L) of queries with a history, all of them with times or none."""
        times = [query.times for query in asked if query.times is not None]
        return self.model.interests([query.history for query in asked], times or None)

    def prepare(self) -> None:
        """Load what every answer needs, before several threads want it at once."""
        history = [np.ones(1, dtype=np.int64)]
        self.names(self.model.interests(history)[0])

    def names(self, interests: Floats) -> list[list[Named]]:
        """A name for each interest (B, K, d)."""
        if self._names is None:
            self._names = names_of(self.model, self.settings.name_threshold)
        users, number, width = interests.shape
        flat = self._names.names(interests.reshape(users * number, width))
        return [flat[at * number : (at + 1) * number] for at in range(users)]

    def scores(self, interests: Floats, asked: Sequence[Asked]) -> Floats:
        """Scores (B, N + 1) of everything that may be listed; the rest is -inf."""
        scores = ranking.best_scores(interests, self.model.vectors, self.model.scale)
        lists.restrict(scores, asked, self.allowed)
        return scores

    def _scores(self, interests: Floats, asked: Sequence[Asked]) -> Floats:
        """As `scores`; through the index, where one is used and enough of what it finds may be listed."""
        if self._index is None:
            return self.scores(interests, asked)
        scores = self._index.scores(interests, self.model)
        lists.restrict(scores, asked, self.allowed)
        few = np.flatnonzero(np.isfinite(scores).sum(axis=1) < [_wanted(query) for query in asked])
        if len(few):
            scores[few] = self.scores(interests[few], [asked[row] for row in few.tolist()])
        return scores

    def _ranked(self, interests: Floats, asked: Sequence[Asked]) -> list[Ranked]:
        if not self.settings.per_interest:
            found = list(self._chosen(self._scores(interests, asked), asked))
            width = max(len(items) for items, _ in found)
            padded = np.array([items + [0] * (width - len(items)) for items, _ in found], dtype=np.int64)
            sources = ranking.sources(interests, self.model.vectors, padded).tolist()
            return [Ranked(items, scores, of[: len(items)]) for (items, scores), of in zip(found, sources, strict=True)]
        number = interests.shape[1]
        each = [list(self._chosen(self._scores(interests[:, [at]], asked), asked)) for at in range(number)]
        return [
            Ranked(
                [item for found in each for item in found[row][0]],
                [score for found in each for score in found[row][1]],
                [at for at, found in enumerate(each) for _ in found[row][0]],
                [len(found[row][0]) for found in each],
            )
            for row in range(len(asked))
        ]

    def _popular(self, asked: Sequence[Asked]) -> list[Ranked]:
        counts = np.asarray(self.model.counts, np.float32).copy()
        counts[0] = -np.inf
        scores = np.repeat(counts[None], len(asked), axis=0)
        lists.restrict(scores, asked, self.allowed)
        return [Ranked(items, values, []) for items, values in self._chosen(scores, asked, varied=False)]

    def _chosen(self, scores: Floats, asked: Sequence[Asked], *, varied: bool = True) -> Iterator[lists.Best]:
        """The items of each query's list and their scores, in order."""
        wanted = [_wanted(query) if varied else query.k for query in asked]
        for query, number, (items, values) in zip(
            asked, wanted, lists.best(scores, max(wanted), self.settings.min_score), strict=True
        ):
            if number == query.k:
                yield items[: query.k], values[: query.k]
                continue
            categories = [self.items.item(index).categories for index in items[:number]]
            if not any(categories) and not self._told:
                self._told = True
                self._reporter.warn("the items have no categories: diversity changes nothing")
            kept = variety.greedy(np.array(values[:number]), categories, query.k, query.diversity).tolist()
            yield [items[at] for at in kept], [values[at] for at in kept]

    def shares(self, asked: Sequence[Asked], attention: Floats, most: int | None = None) -> anchors.Shares:
        """What made the interests of each query: see `anchors.shares`."""
        read = [anchors.latest(query.history, self.model.config.max_length) for query in asked]
        return anchors.shares(read, attention, most)


def _wanted(query: Asked) -> int:
    """How many of the best items a list is made from."""
    return variety.candidates(query.k) if query.diversity else query.k


def _kind(query: Asked) -> str:
    if len(query.history):
        return "history" if query.times is None else "timed"
    return "popularity" if query.words is None else "words"


def pulled(interests: Floats, asked: Sequence[Asked]) -> Floats:
    """Interests moved halfway to the place of a query's words, so that a score is the mean of both.

    (B, K, d); the words count as much as an interest of mean length.
    """
    if all(query.words is None for query in asked):
        return interests
    moved = interests.copy()
    for row, query in zip(moved, asked, strict=True):
        if query.words is not None:
            length = float(np.linalg.norm(row, axis=1).mean())
            row += units(query.words[None]) * length
            row /= 2
    return moved


def _stacked(asked: Sequence[Asked]) -> Floats:
    """The places of the words as one interest each, (B, 1, d)."""
    rows: list[Floats] = [query.words for query in asked if query.words is not None]
    return np.stack(rows)[:, None, :]
