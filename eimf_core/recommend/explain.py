"""Why an item stands where it stands for a history, and which items are nearest to one."""

from __future__ import annotations

from typing import Any

import numpy as np

from eimf_core.errors import InputError
from eimf_core.recommend import candidate_lists, diversity, merge_interests, text_mixing
from eimf_core.recommend.query_resolution import Asked, Floats
from eimf_core.recommend.recommender import Recommender, Understood
from eimf_core.records import RankedItem, Recommendation
from eimf_core.vectors import unit_rows


def similar(recommender: Recommender, index: int, k: int) -> Recommendation:
    """The nearest items by cosine of their vectors, the item itself left out."""
    vectors = recommender.model.vectors
    item = recommender.items.item(index)
    cosines = np.asarray(unit_rows(np.asarray(vectors[index : index + 1], np.float32)) @ vectors.T, np.float32)
    scale = recommender.model.scale
    if scale is None:
        scale = 1 / np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(np.float32).tiny)
    cosines *= scale
    cosines[0, [0, index]] = -np.inf
    if recommender.allowed is not None:
        cosines[:, ~recommender.allowed] = -np.inf
    ((places, values),) = candidate_lists.best(cosines, k, recommender.settings.min_score)
    made = [
        RankedItem(rank=rank, item=found.item, title=found.title, score=value)
        for rank, (found, value) in enumerate(zip(map(recommender.items.item, places), values, strict=True), start=1)
    ]
    empty = None if made else recommender.why_empty(None)
    return Recommendation(id=item.item, items=made, interests=[], empty=empty)


def explain(recommender: Recommender, asked: Asked, index: int) -> dict[str, Any]:
    """Which interest brings an item to a query, at which rank, and through which history items.

    Holds item, title, score, rank (the one in the list that the settings make, of that interest alone with
    `per_interest`), of (items that may stand in it), interest, words (where these are the interest), name,
    similarity, interest_rank (in the list of that interest alone), scores (of each interest, the words' last),
    through (history items with their share of the interest's attention and their cosine to the item) and, where
    the item cannot stand in the list, left_out; its rank is then the one its score would give.
    Raises InputError for a query without anything that makes interests.
    """
    if not len(asked.history) and asked.words is None:
        raise InputError("there is nothing to explain: nothing of the history is known")
    meant = recommender.understood([asked])
    products = _products(recommender, meant, index)
    source = _source(recommender, meant, products, index)
    words = source == meant.interests.shape[1] or not len(asked.history)
    alone = _Place(recommender, asked, recommender.alone(meant, source), index)
    merged = alone if recommender.settings.per_interest else _Place(recommender, asked, meant.interests, index)
    name, similarity = merge_interests.names(meant.names[0], meant.led[0])[source] or (None, None)
    item = recommender.items.item(index)
    described = {
        "item": item.item,
        "title": item.title,
        "score": merged.score,
        "rank": merged.rank,
        "of": merged.of,
        "interest": source,
        "words": asked.text if words else None,
        "name": name,
        "similarity": similarity,
        "interest_rank": alone.rank,
        "scores": [round(value, 6) for value in products],
        "through": [] if words else _through(recommender, _shares(recommender, asked, meant, source), index),
        "left_out": merged.left_out,
    }
    return {key: value for key, value in described.items() if value is not None}


def _products(recommender: Recommender, meant: Understood, index: int) -> list[float]:
    """The scores that each interest gives an item, and the words behind those of a mixture."""
    model, mixed = recommender.model, meant.mixtures[0]
    interests = meant.interests[0] if mixed is None else np.vstack([meant.interests[0], mixed.words])
    scale = 1.0 if model.scale is None else float(model.scale[index])
    return [float(value) for value in interests @ model.vectors[index] * scale]


def _source(recommender: Recommender, meant: Understood, products: list[float], index: int) -> int:
    """The interest that brings an item."""
    number: int = meant.interests.shape[1]
    mixed = meant.mixtures[0]
    if mixed is not None and text_mixing.brought_by_words(recommender.model, mixed, [index])[0]:
        return number
    return meant.led[0][int(np.argmax(products[:number]))]


def _shares(recommender: Recommender, asked: Asked, meant: Understood, source: int) -> list[tuple[int, float]]:
    assert meant.attention is not None
    attention = merge_interests.attention(meant.attention, [meant.led[0][: meant.interests.shape[1]]])
    return recommender.shares([asked], attention)[0][source]


class _Place:
    """Where an item stands in the list that some interests (1, G, d) make, as the command would show it."""

    def __init__(self, recommender: Recommender, asked: Asked, interests: Floats, index: int) -> None:
        scores = recommender.listed_scores(interests, [asked])[0]
        model, least = recommender.model, recommender.settings.min_score
        scale = 1.0 if model.scale is None else float(model.scale[index])
        own = np.float32((interests[0] @ model.vectors[index]).max() * scale)
        # what is listed and what is explained has one score to the last digit
        own = np.float32(scores[index]) if np.isfinite(scores[index]) else own
        self.score = round(float(own), candidate_lists.DIGITS)
        self.left_out = None if np.isfinite(scores[index]) else _reason(recommender, asked, index)
        if least is not None:
            scores[scores < least] = -np.inf
            if self.left_out is None and own < least:
                self.left_out = f"its score is below --min-score {least:g}"
        self.of = int(np.isfinite(scores).sum()) + (self.left_out is not None)
        self.rank = 1 + int((scores > own).sum()) + int((scores[:index] == own).sum())
        if asked.diversity and self.left_out is None:
            self._vary(recommender, asked, scores, index)

    def _vary(self, recommender: Recommender, asked: Asked, scores: Floats, index: int) -> None:
        """The rank among the items that a varied list is chosen from, all of them chosen one after the other."""
        number = diversity.candidates(asked.k)
        ((items, values),) = candidate_lists.best(scores[None], number, None)
        if index not in items:
            self.left_out = f"it is not among the {number:,} best, which a varied list is chosen from"
            return
        categories = [recommender.items.item(at).categories for at in items]
        order = diversity.greedy(np.array(values), categories, len(items), asked.diversity)
        self.rank = 1 + int(np.flatnonzero(order == items.index(index))[0])


def _reason(recommender: Recommender, asked: Asked, index: int) -> str:
    if not asked.keep_seen and index in asked.history:
        return "seen"
    if index in asked.excluded:
        return "excluded"
    barred = [name for name, mask in recommender.filters.items() if not mask[index]]
    if barred or (asked.only is not None and index not in asked.only):
        return f"not allowed by {', '.join(barred or ['only'])}"
    return "not found through the index"


def _through(recommender: Recommender, shares: list[tuple[int, float]], index: int) -> list[dict[str, Any]]:
    wanted = np.asarray(recommender.model.vectors[index : index + 1], np.float32)
    made = []
    for place, weight in shares:
        item = recommender.items.item(place)
        own = np.asarray(recommender.model.vectors[place : place + 1], np.float32)
        cosine = float((unit_rows(own) @ unit_rows(wanted).T)[0, 0])
        made.append(
            {"item": item.item, "title": item.title, "weight": round(weight, 4), "similarity": round(cosine, 4)}
        )
    return made
