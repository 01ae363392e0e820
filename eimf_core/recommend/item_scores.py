"""What items score for queries, and the best of them.

An item's score is that of its vector, plus what the graph of next items adds, times its factor of `--boost`; what may
not be listed is at -inf. The best items are found in two steps: large products, for many queries in 8 bits, say which
items may be among them, and the scores of those are sums of their own, so that a list is the same whatever is asked
beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from eimf_core.model_directory.next_items import NextItemScores
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.recommend import diversity, index_search, item_boosts
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.index_search import Index, NearItems
from eimf_core.recommend.int8_scoring import Int8Scores, Rounded
from eimf_core.recommend.item_filters import mask_scores
from eimf_core.recommend.query.query_resolution import ResolvedQuery
from eimf_core.recommend.top_items import TopItems, no_number, top_pairs

Queries = Sequence[ResolvedQuery]
Parts = Sequence[tuple[int, int]]
"""What interests consist of, see `ranking.best_scores`."""
Pairs = tuple[Ints, Ints]
"""Rows, rising, and an item index for each, both (n,)."""

LARGEST_SCORES = 1 << 22
"""Scores held at once: bounds the memory of a batch."""
LARGEST_BATCH = 128
"""Queries answered together: more gain nothing, and wait longer."""
LARGEST_INDEXED = 512
"""The same through an index: the more look into a list, the less each pays for reading it."""
MANY = 128
"""Queries from which on it pays to round the item vectors."""
LARGEST_TABLE = 1 << 25
"""Numbers of item vectors that are rounded: more would take more memory than the answers do."""
USERS = 16
"""Queries that are scored in 8 bits together: more of them have more items in common that may be among the best."""
LARGEST_BLOCK = 1 << 18
"""Scores of such queries at most, so that they stay in the cache."""
ROWS = 1 << 13
"""Item vectors whose lengths are taken at once."""
LISTED = 50
"""A list is chosen from at least so many times its items, or all of them are scored exactly."""


class ItemScores:
    """Scores of a model's items. `allowed` (N + 1,) says what may be listed at all, `boosts` (N + 1,) are factors."""

    def __init__(
        self,
        model: OpenedModel,
        settings: RecommendConfig,
        *,
        allowed: npt.NDArray[np.bool_] | None,
        boosts: Floats | None,
    ) -> None:
        self._model, self._settings, self._allowed, self.boosts = model, settings, allowed, boosts
        self._index = index_search.index_of(model) if settings.index else None
        self._near: Int8Scores | None = None
        self._asked, self._lock = 0, threading.Lock()

    @property
    def batch_size(self) -> int:
        """How many queries are best answered together; an index looks into as many items as its lists have on
        average."""
        items = len(self._model.vectors)
        if self._index is None:
            return max(1, min(LARGEST_BATCH, LARGEST_SCORES // items))
        share = self._index.probes * self._model.config.interests / self._index.lists
        return max(1, min(LARGEST_INDEXED, LARGEST_SCORES // (int(items * min(1.0, share)) + 1)))

    def best(self, interests: Floats, queries: Queries, *, words: bool = False, whole: bool = False) -> list[TopItems]:
        """The items that each list is chosen from.

        Args:
            interests, queries, words, whole: as for `scores`.

        Returns:
            For each query item indices and their scores, best first; as many as the query that needs most of them.

        Raises:
            ModelError: a score is no number.
        """
        number = min(max(map(candidates, queries)), len(self._model.vectors))
        parts, additions = self.parts(queries, whole), self._additions(queries, words)
        if self._index is not None:
            return self._best_found(self._index, interests, queries, number, parts, additions)
        near = self._int8(interests, number, parts)
        # what is no number is told where all items are scored
        rounded = None if near is None else near.rounded(interests)
        if near is None or rounded is None:
            pairs = self._near_best_of_all(interests, queries, number, parts, additions)
        else:
            pairs = self._near_best(near, rounded, queries, number, additions)
        return self._best_of_pairs(interests, *pairs, number, parts, additions)

    def _best_of_pairs(
        self, interests: Floats, rows: Ints, items: Ints, number: int, parts: Parts, additions: NextItemScores | None
    ) -> list[TopItems]:
        values = self._scores_of_pairs(interests, rows, items, parts, additions)
        return top_pairs(rows, items, values, len(interests), number, self._settings.min_score)

    def _best_found(
        self, index: Index, interests: Floats, queries: Queries, number: int, parts: Parts,
        additions: NextItemScores | None,
    ) -> list[TopItems]:  # fmt: skip
        """As `best`, through the index; where it finds too little that may be listed, out of all items."""
        near = self._through(index, interests, queries, parts, additions)
        rows, columns = ranking.near_best(near.scores, number, np.zeros(len(queries), np.float32))
        made = self._best_of_pairs(interests, rows, near.items(rows, columns), number, parts, additions)
        few = np.flatnonzero(np.bincount(rows, minlength=len(queries)) < [candidates(query) for query in queries])
        for some, rest, own in self._in_steps(few, queries, additions):
            pairs = self._near_best_of_all(interests[some], rest, number, parts, own)
            found = self._best_of_pairs(interests[some], *pairs, number, parts, own)
            for row, listed in zip(some, found, strict=True):
                made[row] = listed
        return made

    def _in_steps(
        self, rows: Ints, queries: Queries, additions: NextItemScores | None
    ) -> Iterator[tuple[list[int], Queries, NextItemScores | None]]:
        """Some rows, as many as may be scored at once, with their queries and what the graph adds to them."""
        step = max(1, LARGEST_SCORES // len(self._model.vectors))
        for start in range(0, len(rows), step):
            some = rows[start : start + step].tolist()
            rest = [queries[row] for row in some]
            yield some, rest, None if additions is None else self._additions(rest, words=False)

    def _near_best_of_all(
        self, interests: Floats, queries: Queries, number: int, parts: Parts, additions: NextItemScores | None
    ) -> Pairs:
        """What may be among the best of each query by scores of all items."""
        scores = self._of_all(interests, queries, parts, additions)
        try:
            ranking.check_finite(scores)
        except ValueError as error:
            raise no_number(str(error.args[0])) from None
        return ranking.near_best(scores, number, self._off(interests))

    def _off(self, interests: Floats) -> Floats:
        """How far scores of products may be from those that are listed, (B,)."""
        lengths: Floats = np.sqrt(np.einsum("bkd,bkd->bk", interests, interests).max(axis=1))
        return np.float32(ranking.SUMS * self._longest * self._boost) * lengths

    @cached_property
    def _longest(self) -> float:
        """The length of the longest item vector, times its scale."""
        vectors, scale, longest = self._model.vectors, self._model.scale, 0.0
        for start in range(0, len(vectors), ROWS):
            some = vectors[start : start + ROWS]
            lengths = np.sqrt(np.einsum("nd,nd->n", some, some))
            longest = max(longest, float((lengths if scale is None else lengths * scale[start : start + ROWS]).max()))
        return longest

    @property
    def _boost(self) -> float:
        """What boosts make of an error at most; of a score below 0 a factor below 1 makes up to twice the score."""
        return 1.0 if self.boosts is None else max(2.0, float(self.boosts.max()))

    def _near_best(
        self, near: Int8Scores, rounded: Rounded, queries: Queries, number: int, additions: NextItemScores | None
    ) -> Pairs:
        """What may be among the best of each query by scores in 8 bits."""
        rows: list[Ints] = []
        items: list[Ints] = []
        step = max(1, min(USERS, LARGEST_BLOCK // near.items))
        for start in range(0, len(queries), step):
            some = slice(start, start + step)
            own = None if additions is None else additions.of_rows(some)
            at, found = self._near_best_of_some(near, rounded, some, queries[some], number, own)
            rows.append(at + start)
            items.append(found)
        return np.concatenate(rows), np.concatenate(items)

    def _near_best_of_some(
        self, near: Int8Scores, rounded: Rounded, some: slice, queries: Queries, number: int,
        additions: NextItemScores | None,
    ) -> Pairs:  # fmt: skip
        scores = near.scores(rounded, some)
        self._finish(scores, queries, None if additions is None else additions.divided_by(rounded.steps[some]))
        return ranking.near_best(scores, number, rounded.off[some] * np.float32(self._boost))

    def _scores_of_pairs(
        self, interests: Floats, rows: Ints, items: Ints, parts: Parts, additions: NextItemScores | None
    ) -> Floats:
        """Scores (n,) of item indices (n,) for rows of interests (B, K, d), whether they may be listed or not."""
        vectors, scale = self._model.vectors, self._model.scale
        scores = ranking.scores_of_pairs(interests, vectors, rows, items, scale, parts)
        if additions is not None:
            scores += additions.of_pairs(rows, items)
        return scores if self.boosts is None else item_boosts.boosted(self.boosts[items], scores)

    def parts(self, queries: Queries, whole: bool = True) -> Parts:
        """What the interests consist of, see `ranking.best_scores`; `whole` as for `scores`."""
        return self._model.interest_product.parts if whole and len(queries[0].history) else ()

    def _int8(self, interests: Floats, number: int, parts: Parts) -> Int8Scores | None:
        """What says which items may be the best; None where that does not pay or cannot be."""
        vectors = self._model.vectors
        if number * LISTED > len(vectors) or vectors.size > LARGEST_TABLE:
            return None
        with self._lock:
            self._asked += len(interests)
            if self._near is None and self._asked >= MANY:
                self._near = Int8Scores(vectors, self._model.scale, self._model.interest_product.parts)
        usable = self._near is not None and self._near.finite and parts == self._model.interest_product.parts
        return self._near if usable else None

    def scores(self, interests: Floats, queries: Queries, *, words: bool = False, whole: bool = False) -> Floats:
        """Scores (B, N + 1) of everything that may be listed; the rest is -inf.

        They come through the index, where one is used and enough of what it finds may be listed.

        Args:
            interests: (B, G, d).
            queries: one for each row.
            words: the interests are words alone, to which no item of a history adds anything.
            whole: the interests are all that the network gave, in their order, not some of them.

        Returns:
            (B, N + 1).
        """
        parts, additions = self.parts(queries, whole), self._additions(queries, words)
        if self._index is None:
            return self._of_all(interests, queries, parts, additions)
        near = self._through(self._index, interests, queries, parts, additions)
        scores = np.full((len(queries), len(self._model.vectors)), -np.inf, np.float32)
        rows, columns, items = near.all_items()
        scores[rows, items] = near.scores[rows, columns]
        few = np.flatnonzero(np.isfinite(scores).sum(axis=1) < [candidates(query) for query in queries])
        for some, rest, own in self._in_steps(few, queries, additions):
            scores[some] = self._of_all(interests[some], rest, parts, own)
        return scores

    def settle(
        self, scores: Floats, interests: Floats, query: ResolvedQuery, item: int, *, words: bool, whole: bool
    ) -> float:
        """Replace scores that are near that of an item, or near the least that is listed, by those that a list shows,
        which are summed in another order.

        Args:
            scores: of one query, (N + 1,), as `scores` gives them; changed in place.
            interests: (1, G, d).
            query: what is asked.
            item: an item index.
            words, whole: as for `scores`.

        Returns:
            The score of the item, also where it may not be listed.
        """
        parts, additions = self.parts([query], whole), self._additions([query], words)

        def exact(items: Ints) -> Floats:
            return self._scores_of_pairs(interests, np.zeros_like(items), items, parts, additions)

        (score,) = exact(np.array([item])).tolist()
        least, off = self._settings.min_score, 2 * self._off(interests)[0]
        near = np.abs(scores - np.float32(score)) <= off
        if least is not None:
            near |= np.abs(scores - np.float32(least)) <= off
        items = np.flatnonzero(near)
        scores[items] = exact(items)
        return float(score)

    def _of_all(self, interests: Floats, queries: Queries, parts: Parts, additions: NextItemScores | None) -> Floats:
        scores = ranking.best_scores(interests, self._model.vectors, self._model.scale, parts)
        self._finish(scores, queries, additions)
        return scores

    def _through(
        self, index: Index, interests: Floats, queries: Queries, parts: Parts, additions: NextItemScores | None
    ) -> NearItems:
        """What the index finds, with the scores of what may be listed, -inf of the rest."""
        near = index.near(interests, self._model, parts, self._always_near(queries, additions))
        if additions is not None:
            additions.add_to(near.scores, near.columns(additions.rows, additions.items.astype(np.int64)))
        if self.boosts is not None or self._allowed is not None or any(query.only is not None for query in queries):
            self._finish_found(near, queries)
        gone = [np.concatenate([query.seen, query.excluded]) for query in queries]
        rows, items = np.repeat(np.arange(len(queries)), list(map(len, gone))), np.concatenate(gone)
        columns = near.columns(rows, items)
        there = columns >= 0
        near.scores[rows[there], columns[there]] = -np.inf
        return near

    def _finish_found(self, near: NearItems, queries: Queries) -> None:
        """Boost what was found, and take out what the filters of the command or `only` leave out; in place."""
        rows, columns, items = near.all_items()
        scores = near.scores[rows, columns]
        if self.boosts is not None:
            factors = self.boosts[items]
            scores = np.where(factors == 1, scores, item_boosts.boosted(factors, scores))
        if self._allowed is not None:
            scores[~self._allowed[items]] = -np.inf
        for row, query in enumerate(queries):
            if query.only is not None:
                scores[(rows == row) & ~np.isin(items, query.only)] = -np.inf
        near.scores[rows, columns] = scores

    def _always_near(self, queries: Queries, additions: NextItemScores | None) -> tuple[Ints, Ints] | None:
        """Rows and item indices that are looked at whatever the index finds; None for none."""
        rows, items = np.zeros(0, np.int64), np.zeros(0, np.int64)
        if additions is not None:
            rows, items = additions.rows, additions.items.astype(np.int64)
        if self.boosts is not None:
            raised = np.flatnonzero(self.boosts > 1)
            rows = np.concatenate([rows, np.repeat(np.arange(len(queries)), len(raised))])
            items = np.concatenate([items, np.tile(raised, len(queries))])
        return (rows, items) if len(rows) else None

    def _additions(self, queries: Queries, words: bool) -> NextItemScores | None:
        """What the graph of next items adds; None for nothing."""
        graph = self._model.next_items
        if graph is None or words or not len(queries[0].history):
            return None
        return graph.additions([query.history for query in queries], self.history_shares(queries))

    def _finish(self, scores: Floats, queries: Queries, additions: NextItemScores | None) -> None:
        """Add what the graph of next items says to vector scores, boost, and take out what may not be listed; in
        place."""
        if additions is not None:
            additions.add_to(scores)
        if self.boosts is not None:
            item_boosts.apply(self.boosts, scores)
        mask_scores(scores, queries, self._allowed)

    def history_shares(self, queries: Queries) -> Floats | None:
        """What histories count beside words.

        Args:
            queries: B of them.

        Returns:
            (B,), 1 for a query without words; None where none has any.
        """
        if all(query.text_vector is None for query in queries):
            return None
        weight = self._settings.text_weight
        return np.array([1.0 if query.text_vector is None else 1 - weight for query in queries], np.float32)

    def popularity(self, queries: Queries) -> Floats:
        """How often each item occurs, boosted.

        Args:
            queries: say what may be listed.

        Returns:
            (B, N + 1), -inf for what may not be listed.
        """
        counts = np.asarray(self._model.counts, np.float32).copy()
        counts[0] = -np.inf
        scores = np.repeat(counts[None], len(queries), axis=0)
        self._finish(scores, queries, None)
        return scores


def candidates(query: ResolvedQuery) -> int:
    """How many of the best items a list is chosen from."""
    return diversity.candidates(query.k) if query.diversity else query.k
