"""Why an item stands where it stands for a history, and which items are nearest to one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from eimf_core.errors import InputError
from eimf_core.naming.interest_names import ScoredName
from eimf_core.numeric.arrays import Floats
from eimf_core.numeric.vectors import row_lengths, unit_rows
from eimf_core.recommend import attribution, diversity
from eimf_core.recommend.attribution import UserInterests
from eimf_core.recommend.query.query_resolution import NOTHING, ResolvedQuery
from eimf_core.recommend.recommender import Recommender
from eimf_core.recommend.results import RankedList, Result
from eimf_core.recommend.top_items import DIGITS, top_items


def similar(recommender: Recommender, index: int, k: int | None = None) -> Result:
    """The nearest items by cosine of their vectors.

    Args:
        recommender: its settings and filters say what may be listed.
        index: of the item, which is left out.
        k: how many; None for as many as the settings say.

    Returns:
        One list, best first, whose query has the id of the item; `empty` says why there is none.

    Raises:
        ModelError: a cosine is no number.
    """
    k = recommender.settings.k if k is None else k
    vectors, settings = recommender.model.vectors, recommender.settings
    cosines = np.asarray(unit_rows(np.asarray(vectors[index : index + 1], np.float32)) @ vectors.T, np.float32)
    scale = recommender.model.scale
    if scale is None:
        scale = 1 / row_lengths(vectors)
    cosines *= scale
    cosines[0, [0, index]] = -np.inf
    if recommender.allowed is not None:
        cosines[:, ~recommender.allowed] = -np.inf
    ((items, values),) = top_items(cosines, k, settings.min_score)
    query = ResolvedQuery(
        recommender.items.item(index).item, NOTHING, None, None, None, None, [], NOTHING, None, NOTHING, 0.0, k
    )
    empty = {} if items else {0: recommender.why_empty(query)}
    return Result([query], [RankedList(items, values, [])], empty=empty)


def explain(recommender: Recommender, query: ResolvedQuery, index: int) -> dict[str, Any]:
    """Which interest brings an item to a query, at which rank, and through which history items.

    Args:
        recommender: with the settings that make the list.
        query: what is asked.
        index: of the item.

    Returns:
        item, title, score, rank (the one in the list that the settings make, of that interest alone with
        `per_interest`), of (items that may stand in it), interest, words (where these are the interest), name,
        similarity, interest_rank (in the list of that interest of the network alone), scores (of each interest, of
        those that are nearly one the best, that of the words last), through (history items with their share of its
        attention and their cosine to the item), where the model has a graph of next items what that adds to the score
        (next_items) and after which history items the item came in training, or whose texts it is like (after, with
        what each adds), the factor of --boost (boost), and, where the item cannot stand in the list, left_out; its
        rank is then the one its score would give.

    Raises:
        InputError: the query has nothing that makes interests.
    """
    if not len(query.history) and query.text_vector is None:
        raise InputError("there is nothing to explain: nothing of the history is known")
    interests = recommender.interests([query])
    products = _products(recommender, interests, index)
    source = _source(recommender, interests, products, index)
    by_words = source == interests.vectors.shape[1]
    words = by_words or not len(query.history)
    alone = _Position(recommender, query, recommender.interests_of_list(interests, source), index, words=by_words)
    merged = alone
    if not recommender.settings.per_interest:
        merged = _Position(recommender, query, interests.vectors, index, whole=True)
    boosts = recommender.item_scores.boosts
    number, (name, similarity) = _shown(recommender, query, interests, source, index)
    item = recommender.items.item(index)
    described = {
        "item": item.item,
        "title": item.title,
        "score": merged.score,
        "rank": merged.rank,
        "of": merged.of,
        "interest": number,
        "words": query.text if words else None,
        "name": name,
        "similarity": similarity,
        "interest_rank": alone.rank,
        "scores": _best_of_merged(products, interests),
        "through": [] if words else _through(recommender, recommender.shares([query], interests)[0][source], index),
        **_next_items(recommender, query, index),
        "boost": None if boosts is None else round(float(boosts[index]), DIGITS),
        "left_out": merged.left_out,
    }
    return {key: value for key, value in described.items() if value is not None}


def _edges(recommender: Recommender, query: ResolvedQuery, index: int) -> dict[int, float]:
    """What the graph of next items adds to an item's score, by the history item it comes after, most first."""
    graph = recommender.model.next_items
    added: defaultdict[int, float] = defaultdict(float)
    if graph is not None and len(query.history):
        share = recommender.item_scores.history_shares([query])
        for back, found, score in zip(*graph.edges(query.history), strict=True):
            if found == index and score:
                added[int(query.history[-1 - back])] += float(score) * (1.0 if share is None else float(share[0]))
    return dict(sorted(added.items(), key=lambda edge: -edge[1]))


def _next_items(recommender: Recommender, query: ResolvedQuery, index: int) -> dict[str, Any]:
    """The part of the score that the graph of next items gives, and after which history items it does."""
    if recommender.model.next_items is None or not len(query.history):
        return {}
    added = _edges(recommender, query, index)
    items = [(recommender.items.item(known), score) for known, score in added.items()]
    after = [{"item": item.item, "title": item.title, "score": round(score, DIGITS)} for item, score in items]
    return {"next_items": round(sum(added.values()), DIGITS), "after": after}


def _products(recommender: Recommender, interests: UserInterests, index: int) -> list[float]:
    """The scores that each interest gives an item, and the words behind those of a fusion."""
    model, fused = recommender.model, interests.fusions[0]
    vectors = interests.vectors[0] if fused is None else np.vstack([interests.vectors[0], fused.text])
    scale = 1.0 if model.scale is None else float(model.scale[index])
    return [float(value) for value in vectors @ model.vectors[index] * scale]


def _best_of_merged(products: list[float], interests: UserInterests) -> list[float]:
    """The scores of interests, of those that are nearly one the best."""
    best: dict[int, float] = {}
    for first, product in zip(interests.merged_into[0], products, strict=True):
        best[first] = max(product, best.get(first, product))
    return [round(value, DIGITS) for value in best.values()]


def _source(recommender: Recommender, interests: UserInterests, products: list[float], index: int) -> int:
    """The interest that brings an item."""
    number: int = interests.vectors.shape[1]
    fused = interests.fusions[0]
    if fused is not None and fused.from_text(recommender.model, [index])[0]:
        return number
    return interests.merged_into[0][int(np.argmax(products[:number]))]


def _shown(
    recommender: Recommender, query: ResolvedQuery, interests: UserInterests, source: int, index: int
) -> tuple[int, ScoredName]:
    """The number and the name that the list shows an item's interest by, or would show it by."""
    names = attribution.merged_names(interests.names[0], interests.merged_into[0])
    if recommender.settings.per_interest or source == interests.words:
        return source, names[source] or (None, None)
    result = recommender.result([query])
    (ranked,) = result.lists
    if index in ranked.items and result.names is not None:
        number = ranked.interests[ranked.items.index(index)]
        return number, result.names[0][number] or (None, None)
    return source, recommender.namer.of_items([index])


class _Position:
    """Where an item stands in the list that some interests (1, G, d) make, as the command would show it."""

    def __init__(
        self, recommender: Recommender, query: ResolvedQuery, interests: Floats, index: int, *, words: bool = False,
        whole: bool = False,
    ) -> None:  # fmt: skip
        scores = recommender.item_scores.scores(interests, [query], words=words, whole=whole)[0]
        least = recommender.settings.min_score
        # what is listed and what is explained has one score to the last digit
        listed = bool(np.isfinite(scores[index]))
        score = recommender.item_scores.settle(scores, interests, query, index, words=words, whole=whole)
        self.score = round(float(score), DIGITS)
        self.left_out = None if listed else _reason(recommender, query, index)
        if least is not None:
            scores[scores < least] = -np.inf
            # as a list compares them
            if self.left_out is None and np.float32(score) < np.float32(least):
                self.left_out = f"its score is below --min-score {least:g}"
        self.of = int(np.isfinite(scores).sum()) + (self.left_out is not None)
        self.rank = 1 + int((scores > score).sum()) + int((scores[:index] == score).sum())
        if query.diversity and self.left_out is None:
            self._diversify(recommender, query, interests, index, words=words, whole=whole)

    def _diversify(
        self, recommender: Recommender, query: ResolvedQuery, interests: Floats, index: int, *, words: bool, whole: bool
    ) -> None:
        """The rank among the items that a diversified list is chosen from, all chosen one after the other."""
        number = diversity.candidates(query.k)
        ((items, values),) = recommender.item_scores.best(interests, [query], words=words, whole=whole)
        if index not in items:
            self.left_out = f"it is not among the {number:,} items with the best scores, from which --diversity chooses"
            return
        categories = [recommender.items.item(at).categories for at in items]
        order = diversity.greedy(np.array(values), categories, len(items), query.diversity)
        self.rank = 1 + int(np.flatnonzero(order == items.index(index))[0])


def _reason(recommender: Recommender, query: ResolvedQuery, index: int) -> str:
    if index in query.seen:
        return "seen"
    if index in query.excluded:
        return "excluded"
    barred = [name for name, mask in recommender.filters.items() if not mask[index]]
    if barred or (query.only is not None and index not in query.only):
        return f"not allowed by {', '.join(barred or ['only'])}"
    return "not found through the index"


def _through(recommender: Recommender, shares: list[tuple[int, float]], index: int) -> list[dict[str, Any]]:
    wanted = np.asarray(recommender.model.vectors[index : index + 1], np.float32)
    made = []
    for known, weight in shares:
        item = recommender.items.item(known)
        vector = np.asarray(recommender.model.vectors[known : known + 1], np.float32)
        cosine = float((unit_rows(vector) @ unit_rows(wanted).T)[0, 0])
        made.append(
            {"item": item.item, "title": item.title, "weight": round(weight, 4), "similarity": round(cosine, 4)}
        )
    return made
