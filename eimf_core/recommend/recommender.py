"""Resolved queries in, results out, through interests, ranking and naming.

Three kinds of query are ranked: with a history, by its interests (and words beside it, see `text_fusion`); with
words alone, by their vector in the item space; with nothing that is known, by popularity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.naming.interest_names import Namer, ScoredName, open_namer
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.numeric.padding import padded
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import attribution, diversity, interest_splitting, text_fusion
from eimf_core.recommend.attribution import UserInterests
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.item_filters import why_empty
from eimf_core.recommend.item_scores import ItemScores, candidates
from eimf_core.recommend.query.item_lookup import Items
from eimf_core.recommend.query.query_resolution import ResolvedQuery
from eimf_core.recommend.results import RankedList, Result
from eimf_core.recommend.top_items import TopItems, top_items

Queries = Sequence[ResolvedQuery]

UNNAMED: ScoredName = (None, None)


class Recommender:
    """Answers queries with a model. `filters` (N + 1,) say what may be listed at all, by option; `boosts` (N + 1,) are
    factors on scores."""

    def __init__(
        self,
        model: OpenedModel,
        items: Items,
        settings: RecommendConfig,
        *,
        filters: Mapping[str, npt.NDArray[np.bool_]] | None = None,
        boosts: Floats | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        self.model, self.items, self.settings, self.filters = model, items, settings, filters or {}
        self.allowed = np.logical_and.reduce(list(self.filters.values())) if self.filters else None
        self.item_scores = ItemScores(model, settings, allowed=self.allowed, boosts=boosts)
        self._reporter = reporter
        self._namer: Namer | None = None
        self._warned = False

    @property
    def batch_size(self) -> int:
        """How many queries are best answered together."""
        return self.item_scores.batch_size

    def results(self, queries: Queries) -> Iterator[tuple[Sequence[int], Result]]:
        """The answers to queries of any kind, and the places of those that each result is about."""
        kinds = [_kind(query) for query in queries]
        if len(set(kinds)) == 1 and len(queries) <= self.batch_size:
            yield range(len(queries)), self.result(queries)
            return
        rows_of: dict[str, list[int]] = {}
        for at, kind in enumerate(kinds):
            rows_of.setdefault(kind, []).append(at)
        for rows in rows_of.values():
            for start in range(0, len(rows), self.batch_size):
                chunk = rows[start : start + self.batch_size]
                yield chunk, self.result([queries[at] for at in chunk])

    def result(self, queries: Queries) -> Result:
        """The answers to queries of one kind."""
        if _kind(queries[0]) == "popularity":
            popular = self._popular(queries)
            return Result(queries, popular, fallback="popularity", empty=self._empty(queries, popular))
        interests = self.interests(queries)
        lists = self._lists(interests, queries)
        empty, words = self._empty(queries, lists), interests.words
        if self.settings.per_interest or interests.attention is None:
            names = list(map(attribution.merged_names, interests.names, interests.merged_into))
            return Result(queries, lists, names, self._anchors(queries, interests), words=words, empty=empty)
        return self._by_name(queries, interests, lists, empty)

    def _by_name(
        self, queries: Queries, interests: UserInterests, lists: list[RankedList], empty: dict[int, str]
    ) -> Result:
        """The result of merged lists, whose interests are split by the names of what they bring."""
        namer, number = self.namer, interests.words
        further = list(map(len, interests.merged_into))
        of_one = [int(query.history[-1]) if _is_one_item(query) else 0 for query in queries]
        shown, parts = interest_splitting.split_by_name(lists, namer, number, further, of_one)
        shares = None
        if self.settings.anchors:
            assert interests.attention is not None
            attention = attribution.merged_attention(interests.attention, interests.without_text)
            most, least = self.settings.anchors, self.settings.anchor_share
            shares = interest_splitting.shares(parts, attention, self._read(queries), namer, most, least)
        words = [dict(enumerate(names[number:], start=number)) for names in interests.names]
        names = interest_splitting.names_of(parts, namer, words)
        return Result(queries, shown, names, shares, words=number, empty=empty)

    def _empty(self, queries: Queries, lists: Sequence[RankedList]) -> dict[int, str]:
        return {at: self.why_empty(queries[at]) for at, ranked in enumerate(lists) if not ranked.items}

    def why_empty(self, query: ResolvedQuery) -> str:
        """Which filter left nothing to list for a query."""
        return why_empty(len(self.items), self.filters, query, self.settings.min_score)

    def interests(self, queries: Queries) -> UserInterests:
        """The interests of queries with a history, or with words alone."""
        if not len(queries[0].history):
            words = np.stack([query.text_vector for query in queries if query.text_vector is not None])[:, None, :]
            spoken = [[name] for name in self.namer.of_vectors(words[:, 0])]
            return UserInterests(words, None, [None] * len(queries), spoken, [[0]] * len(queries))
        of_history, attention = self._run_network(queries)
        named = self._names_by_lists(of_history, queries) if self.settings.per_interest else None
        merged_into = attribution.merge(named, of_history, list(map(_is_one_item, queries)))
        names = named or [[UNNAMED] * of_history.shape[1]] * len(queries)
        fusions: list[text_fusion.Fusion | None] = [None] * len(queries)
        vectors = of_history
        for at, query in enumerate(queries):
            if query.text_vector is None:
                continue
            weight = self.settings.text_weight
            fused = text_fusion.fuse(self.model, of_history[at], query.text_vector, query.history, weight)
            vectors = of_history.copy() if vectors is of_history else vectors
            vectors[at] = fused.interests
            fusions[at] = fused
            # the words are a reason of their own
            merged_into[at] = [*merged_into[at], len(of_history[at])]
            names[at] = [*names[at], *self.namer.of_vectors(query.text_vector[None])]
        return UserInterests(vectors, attention, fusions, names, merged_into)

    def _run_network(self, queries: Queries) -> tuple[Floats, Floats]:
        """Interests (B, K, d) and attention (B, K, L) of queries with a history, all of them with times or none."""
        times = [query.times for query in queries if query.times is not None]
        events = None
        if any(query.events is not None for query in queries):
            events = [np.zeros_like(query.history) if query.events is None else query.events for query in queries]
        return self.model.interests([query.history for query in queries], times or None, events)

    def _read(self, queries: Queries) -> list[Ints]:
        """What the network reads of each history."""
        return [query.history[-self.model.config.max_length :] for query in queries]

    def _anchors(self, queries: Queries, interests: UserInterests) -> attribution.Shares | None:
        if not self.settings.anchors or interests.attention is None:
            return None
        return self.shares(queries, interests, self.settings.anchors, self.settings.anchor_share)

    def shares(
        self, queries: Queries, interests: UserInterests, most: int | None = None, least: float = 0.0
    ) -> attribution.Shares:
        """What made the interests of each query with a history: see `attribution.attention_shares`.

        Args:
            queries: with a history.
            interests: of these queries.
            most, least: as for `attention_shares`.

        Returns:
            For each query and interest item indices and their shares; nothing for one that is merged away in all.
        """
        assert interests.attention is not None
        attention = attribution.merged_attention(interests.attention, interests.without_text)
        read = self._read(queries)
        shown = sorted({first for of in interests.without_text for first in of})
        found = attribution.attention_shares(read, attention[:, shown], most, least)
        made: attribution.Shares = [[[] for _ in range(attention.shape[1])] for _ in queries]
        for own, parts in zip(made, found, strict=True):
            for number, part in zip(shown, parts, strict=True):
                own[number] = part
        return made

    def load(self) -> None:
        """Load what every answer needs, before several threads want it at once."""
        history = [np.ones(1, dtype=np.int64)]
        self.model.interests(history)
        _ = self.namer

    @property
    def namer(self) -> Namer:
        """What names items and interests; opened when it is first wanted."""
        if self._namer is None:
            if self.model.item_groups is None:
                self._reporter.note(
                    f"{self.model.name}: holds no names of groups of items; they are made now, which delays the first "
                    "answer; a model trained by this version holds them"
                )
            self._namer = open_namer(self.model, self.settings.name_threshold)
        return self._namer

    def _names_by_lists(self, interests: Floats, queries: Queries) -> list[list[ScoredName]]:
        """What most of the items are called that each interest (B, K, d) ranks first."""
        made: list[list[ScoredName]] = [[] for _ in queries]
        for number in range(interests.shape[1]):
            best = self.item_scores.best(interests[:, number : number + 1], queries)
            for own, (items, _) in zip(made, self._chosen(best, queries), strict=True):
                own.append(self.namer.of_items(items))
        return made

    def _lists(self, interests: UserInterests, queries: Queries) -> list[RankedList]:
        if self.settings.per_interest:
            return self._lists_per_interest(interests, queries)
        found = list(self._chosen(self.item_scores.best(interests.vectors, queries, whole=True), queries))
        listed = padded([items for items, _ in found])
        parts = self.item_scores.parts(queries)
        sources = ranking.sources(interests.vectors, self.model.vectors, listed, parts).tolist()
        made = []
        for at, (items, scores) in enumerate(found):
            merged_into, fused = interests.merged_into[at], interests.fusions[at]
            brought_by = [merged_into[source] for source in sources[at][: len(items)]]
            if fused is not None and items:
                by_text = fused.from_text(self.model, items).tolist()
                text = len(merged_into) - 1
                brought_by = [text if words else source for source, words in zip(brought_by, by_text, strict=True)]
            made.append(RankedList(items, scores, brought_by))
        return made

    def _lists_per_interest(self, interests: UserInterests, queries: Queries) -> list[RankedList]:
        """A list for each interest that is not merged away, and one for the words."""
        each: list[list[TopItems]] = [[] for _ in queries]
        for number in range(max(map(len, interests.merged_into))):
            words = number >= interests.vectors.shape[1]
            best = self.item_scores.best(self.interests_of_list(interests, number), queries, words=words)
            for row, found in enumerate(self._chosen(best, queries)):
                merged_into = interests.merged_into[row]
                is_merged = number >= len(merged_into) or merged_into[number] != number
                each[row].append(([], []) if is_merged else found)
        return [
            RankedList(
                [item for items, _ in found for item in items],
                [score for _, scores in found for score in scores],
                [at for at, (items, _) in enumerate(found) for _ in items],
                [len(items) for items, _ in found],
            )
            for found in each
        ]

    def interests_of_list(self, interests: UserInterests, number: int) -> Floats:
        """What gives the scores of one list of `per_interest`.

        Args:
            interests: of B queries.
            number: of the list; the words have the last.

        Returns:
            (B, G, d).
        """
        width = interests.vectors.shape[1]
        if number < width:
            return attribution.group_members(interests.vectors, interests.without_text, number)
        nothing = np.zeros(interests.vectors.shape[2], np.float32)
        return np.stack([nothing if fused is None else fused.text for fused in interests.fusions])[:, None]

    def _popular(self, queries: Queries) -> list[RankedList]:
        scores = self.item_scores.popularity(queries)
        found = top_items(scores, max(query.k for query in queries), self.settings.min_score)
        return [
            RankedList(items[: query.k], values[: query.k], [])
            for query, (items, values) in zip(queries, found, strict=True)
        ]

    def _chosen(self, found: Sequence[TopItems], queries: Queries) -> Iterator[TopItems]:
        """The list of each query, in order, out of the best items and their scores."""
        for query, (items, values) in zip(queries, found, strict=True):
            if not query.diversity:
                yield (items, values) if len(items) <= query.k else (items[: query.k], values[: query.k])
                continue
            number = candidates(query)
            categories = [self.items.item(index).categories for index in items[:number]]
            if not any(categories) and not self._warned:
                self._warned = True
                self._reporter.warn("the items have no categories: diversity changes nothing")
            kept = diversity.greedy(np.array(values[:number]), categories, query.k, query.diversity).tolist()
            yield [items[at] for at in kept], [values[at] for at in kept]


def _is_one_item(query: ResolvedQuery) -> bool:
    """Whether a history is one item, maybe several times."""
    first = query.history[0]
    return bool(first == query.history[-1] and (query.history == first).all())


def _kind(query: ResolvedQuery) -> str:
    if len(query.history):
        return "history" if query.times is None else "timed"
    return "popularity" if query.text_vector is None else "text"
