"""The answers: queries in, recommendations out, through interests, ranking and naming.

Three kinds of query are ranked: with a history, by its interests (and words beside it, see `mixing`); with
words alone, by their place in the item space; with nothing that is known, by popularity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from eimf_core import ranking
from eimf_core.artifact import Model
from eimf_core.naming.interest_names import Named, Names, names_of
from eimf_core.padding import padded
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import (
    anchors,
    candidate_lists,
    diversity,
    index_search,
    merge_interests,
    results,
    text_mixing,
)
from eimf_core.recommend.candidate_lists import Ranked
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.empty_reasons import why_empty
from eimf_core.recommend.item_lookup import Items
from eimf_core.recommend.query_resolution import Asked, Floats
from eimf_core.recommend.result_lines import Lines
from eimf_core.recommend.results import Block
from eimf_core.records import Recommendation

T = TypeVar("T")

LARGEST_SCORES = 1 << 22
"""Scores held at once: bounds the memory of a batch."""
LARGEST_BATCH = 256
"""Queries answered together: more gain nothing, and wait longer."""


@dataclass(frozen=True)
class Understood:
    """What queries of one kind mean: `interests` (B, K, d) give the scores, `attention` (B, K, L) says what made them.

    `mixtures` are those of words and history, None where a query has only one of these. `names` and `led` (see
    `merging`) have an entry for each interest, and one for the words behind those of a mixture.
    """

    interests: Floats
    attention: Floats | None
    mixtures: Sequence[text_mixing.Mixture | None]
    names: list[list[Named]]
    led: list[merge_interests.Leaders]


class Recommender:
    """Answers queries with a model. `filters` (N + 1,) say what may be listed at all, by option."""

    def __init__(
        self,
        model: Model,
        items: Items,
        settings: RecommendConfig,
        *,
        filters: Mapping[str, npt.NDArray[np.bool_]] | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        self.model, self.items, self.settings, self.filters = model, items, settings, filters or {}
        self.allowed = np.logical_and.reduce(list(self.filters.values())) if self.filters else None
        self._reporter = reporter
        self._names: Names | None = None
        self._lines = Lines(items)
        self._index = index_search.index_of(model) if settings.index else None
        self._told = False

    @property
    def batch_size(self) -> int:
        """How many queries are best answered together."""
        return max(1, min(LARGEST_BATCH, LARGEST_SCORES // len(self.model.vectors)))

    def answer(self, asked: Sequence[Asked]) -> list[Recommendation]:
        """The answers in the order of the queries."""
        return self._in_order(asked, lambda block: list(results.records(block, self.items)))

    def lines(self, asked: Sequence[Asked]) -> list[bytes]:
        """The answers as lines, in the order of the queries."""
        return self._in_order(asked, self._lines.of)

    def _in_order(self, asked: Sequence[Asked], write: Callable[[Block], list[T]]) -> list[T]:
        """What `write` makes of the answers to queries of one kind, a bounded number together."""
        told = [_kind(query) for query in asked]
        if len(set(told)) == 1 and len(asked) <= self.batch_size:
            return write(self._answer(told[0], asked))
        made: dict[int, T] = {}
        kinds: dict[str, list[int]] = {}
        for at, kind in enumerate(told):
            kinds.setdefault(kind, []).append(at)
        for kind, rows in kinds.items():
            for start in range(0, len(rows), self.batch_size):
                chunk = rows[start : start + self.batch_size]
                made |= zip(chunk, write(self._answer(kind, [asked[at] for at in chunk])), strict=True)
        return [made[at] for at in range(len(asked))]

    def _answer(self, kind: str, asked: Sequence[Asked]) -> Block:
        if kind == "popularity":
            popular = self._popular(asked)
            empty = {at: self.why_empty(asked[at]) for at, of in enumerate(popular) if not of.items}
            return Block(asked, popular, fallback="popularity", empty=empty)
        meant = self.understood(asked)
        ranked = self._ranked(meant, asked)
        return Block(
            asked,
            ranked,
            [merge_interests.names(named, led) for named, led in zip(meant.names, meant.led, strict=True)],
            self._anchors(asked, meant),
            empty={at: self.why_empty(asked[at]) for at, of in enumerate(ranked) if not of.items},
        )

    def why_empty(self, query: Asked | None) -> str:
        """Which filter left nothing to list for a query."""
        return why_empty(len(self.items), self.filters, query, self.settings.min_score)

    def understood(self, asked: Sequence[Asked]) -> Understood:
        """What queries with a history, or with words alone, mean."""
        if not len(asked[0].history):
            own = _stacked(asked)
            return Understood(own, None, [None] * len(asked), self.names(own), [[0]] * len(asked))
        own, attention = self.interests(asked)
        names = self.names(own)
        led = [merge_interests.leaders(named) for named in names]
        mixtures: list[text_mixing.Mixture | None] = [None] * len(asked)
        interests = own
        for at, query in enumerate(asked):
            if query.words is None:
                continue
            mixed = text_mixing.mixture(self.model, own[at], query.words, query.history, self.settings.text_weight)
            interests = own.copy() if interests is own else interests
            interests[at] = mixed.interests
            mixtures[at] = mixed
            # the words are a reason of their own
            led[at] = [*led[at], len(own[at])]
            names[at] = [*names[at], *self.names(query.words[None, None])[0]]
        return Understood(interests, attention, mixtures, names, led)

    def _anchors(self, asked: Sequence[Asked], meant: Understood) -> anchors.Shares | None:
        if not self.settings.anchors or meant.attention is None:
            return None
        attention = merge_interests.attention(meant.attention, [led[: meant.interests.shape[1]] for led in meant.led])
        return self.shares(asked, attention, self.settings.anchors, self.settings.anchor_share)

    def interests(self, asked: Sequence[Asked]) -> tuple[Floats, Floats]:
        """Interests (B, K, d) and attention (B, K, L) of queries with a history, all of them with times or none."""
        times = [query.times for query in asked if query.times is not None]
        events = None
        if any(query.events is not None for query in asked):
            events = [np.zeros_like(query.history) if query.events is None else query.events for query in asked]
        return self.model.interests([query.history for query in asked], times or None, events)

    def prepare(self) -> None:
        """Load what every answer needs, before several threads want it at once."""
        history = [np.ones(1, dtype=np.int64)]
        self.names(self.model.interests(history)[0])

    def names(self, interests: Floats) -> list[list[Named]]:
        """A name for each interest (B, K, d)."""
        if self._names is None:
            if not self.model.named and self.model.words is None:
                self._reporter.note(f"{self.model.name}: brings no names; they are made of its titles, each time anew")
            self._names = names_of(self.model, self.settings.name_threshold)
        users, number, width = interests.shape
        flat = self._names.names(interests.reshape(users * number, width))
        return [flat[at * number : (at + 1) * number] for at in range(users)]

    def scores(self, interests: Floats, asked: Sequence[Asked]) -> Floats:
        """Scores (B, N + 1) of everything that may be listed; the rest is -inf."""
        scores = ranking.best_scores(interests, self.model.vectors, self.model.scale)
        candidate_lists.restrict(scores, asked, self.allowed)
        return scores

    def listed_scores(self, interests: Floats, asked: Sequence[Asked]) -> Floats:
        """As `scores`; through the index, where one is used and enough of what it finds may be listed."""
        if self._index is None:
            return self.scores(interests, asked)
        scores = self._index.scores(interests, self.model)
        candidate_lists.restrict(scores, asked, self.allowed)
        few = np.flatnonzero(np.isfinite(scores).sum(axis=1) < [_wanted(query) for query in asked])
        if len(few):
            scores[few] = self.scores(interests[few], [asked[row] for row in few.tolist()])
        return scores

    def _ranked(self, meant: Understood, asked: Sequence[Asked]) -> list[Ranked]:
        if self.settings.per_interest:
            return self._each(meant, asked)
        found = list(self._chosen(self.listed_scores(meant.interests, asked), asked))
        listed = padded([items for items, _ in found])
        sources = ranking.sources(meant.interests, self.model.vectors, listed).tolist()
        made = []
        for at, (items, scores) in enumerate(found):
            led, mixed = meant.led[at], meant.mixtures[at]
            of = [led[source] for source in sources[at][: len(items)]]
            if mixed is not None and items:
                by_words = text_mixing.brought_by_words(self.model, mixed, items).tolist()
                of = [len(led) - 1 if words else source for source, words in zip(of, by_words, strict=True)]
            made.append(Ranked(items, scores, of))
        return made

    def _each(self, meant: Understood, asked: Sequence[Asked]) -> list[Ranked]:
        """A list for each interest that leads, and one for the words, whose other part the history is not."""
        each: list[list[candidate_lists.Best]] = [[] for _ in asked]
        for at in range(max(map(len, meant.led))):
            scores = self.listed_scores(self.alone(meant, at), asked)
            for row, best in enumerate(self._chosen(scores, asked)):
                leads = at < len(meant.led[row]) and meant.led[row][at] == at
                each[row].append(best if leads else ([], []))
        return [
            Ranked(
                [item for items, _ in found for item in items],
                [score for _, scores in found for score in scores],
                [at for at, (items, _) in enumerate(found) for _ in items],
                [len(items) for items, _ in found],
            )
            for found in each
        ]

    def alone(self, meant: Understood, number: int) -> Floats:
        """The interests (B, G, d) that give the scores of one list of `per_interest`."""
        if number < meant.interests.shape[1]:
            return merge_interests.members(
                meant.interests, [led[: meant.interests.shape[1]] for led in meant.led], number
            )
        nothing = np.zeros(meant.interests.shape[2], np.float32)
        return np.stack([nothing if mixed is None else mixed.words for mixed in meant.mixtures])[:, None]

    def _popular(self, asked: Sequence[Asked]) -> list[Ranked]:
        counts = np.asarray(self.model.counts, np.float32).copy()
        counts[0] = -np.inf
        scores = np.repeat(counts[None], len(asked), axis=0)
        candidate_lists.restrict(scores, asked, self.allowed)
        return [Ranked(items, values, []) for items, values in self._chosen(scores, asked, varied=False)]

    def _chosen(self, scores: Floats, asked: Sequence[Asked], *, varied: bool = True) -> Iterator[candidate_lists.Best]:
        """The items of each query's list and their scores, in order."""
        wanted = [_wanted(query) if varied else query.k for query in asked]
        for query, number, (items, values) in zip(
            asked, wanted, candidate_lists.best(scores, max(wanted), self.settings.min_score), strict=True
        ):
            if number == query.k:
                yield (items, values) if len(items) <= number else (items[:number], values[:number])
                continue
            categories = [self.items.item(index).categories for index in items[:number]]
            if not any(categories) and not self._told:
                self._told = True
                self._reporter.warn("the items have no categories: diversity changes nothing")
            kept = diversity.greedy(np.array(values[:number]), categories, query.k, query.diversity).tolist()
            yield [items[at] for at in kept], [values[at] for at in kept]

    def shares(
        self, asked: Sequence[Asked], attention: Floats, most: int | None = None, least: float = 0.0
    ) -> anchors.Shares:
        """What made the interests of each query: see `anchors.shares`."""
        read = [anchors.latest(query.history, self.model.config.max_length) for query in asked]
        return anchors.shares(read, attention, most, least)


def _wanted(query: Asked) -> int:
    """How many of the best items a list is made from."""
    return diversity.candidates(query.k) if query.diversity else query.k


def _kind(query: Asked) -> str:
    if len(query.history):
        return "history" if query.times is None else "timed"
    return "popularity" if query.words is None else "words"


def _stacked(asked: Sequence[Asked]) -> Floats:
    """The places of the words as one interest each, (B, 1, d)."""
    rows: list[Floats] = [query.words for query in asked if query.words is not None]
    return np.stack(rows)[:, None, :]
