"""Why an item stands where it stands for a history, and which items are nearest to one."""

from __future__ import annotations

from typing import Any

import numpy as np

from eimf_core.errors import InputError
from eimf_core.recommend import lists
from eimf_core.recommend.asking import Asked, Floats
from eimf_core.recommend.engine import Recommender, pulled
from eimf_core.recommend.naming import units
from eimf_core.records import RankedItem, Recommendation


def similar(recommender: Recommender, index: int, k: int) -> Recommendation:
    """The nearest items by cosine of their vectors, the item itself left out."""
    vectors = recommender.model.vectors
    item = recommender.items.item(index)
    cosines = np.asarray(units(np.asarray(vectors[index : index + 1], np.float32)) @ vectors.T, np.float32)
    scale = recommender.model.scale
    if scale is None:
        scale = 1 / np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(np.float32).tiny)
    cosines *= scale
    cosines[0, [0, index]] = -np.inf
    if recommender.allowed is not None:
        cosines[:, ~recommender.allowed] = -np.inf
    ((places, values),) = lists.best(cosines, k, recommender.settings.min_score)
    made = [
        RankedItem(rank=rank, item=found.item, title=found.title, score=value)
        for rank, (found, value) in enumerate(zip(map(recommender.items.item, places), values, strict=True), start=1)
    ]
    return Recommendation(id=item.item, items=made, interests=[])


def explain(recommender: Recommender, asked: Asked, index: int) -> dict[str, Any]:
    """Which interest brings an item to a query, at which rank, and through which history items.

    Holds item, title, score, rank, of (items ranked), interest, name, similarity, interest_rank (in the
    list of that interest alone), scores (of each interest), through (history items with their share of
    the interest's attention and their cosine to the item) and, where the item may not be listed, left_out.
    Raises InputError for a query without anything that makes interests.
    """
    if not len(asked.history) and asked.words is None:
        raise InputError("there is nothing to explain: nothing of the history is known")
    attention: Floats | None = None
    if len(asked.history):
        own, attention = recommender.interests([asked])
    else:
        own = np.asarray(asked.words, np.float32)[None, None]
    interests = pulled(own, [asked]) if len(asked.history) else own
    scores = recommender.scores(interests, [asked])[0]
    scale = 1.0 if recommender.model.scale is None else float(recommender.model.scale[index])
    products = interests[0] @ recommender.model.vectors[index] * scale
    source = int(products.argmax())
    alone = recommender.scores(interests[:, [source]], [asked])[0]
    name, similarity = recommender.names(own)[0][source]
    item = recommender.items.item(index)
    left_out = None if np.isfinite(scores[index]) else _reason(asked, index)
    shares = [] if attention is None else recommender.shares([asked], attention)[0][source]
    described = {
        "item": item.item,
        "title": item.title,
        "score": round(float(products[source]), 6),
        "rank": _rank(scores, index, float(products[source])),
        "of": int(np.isfinite(scores).sum()) + (left_out is not None),
        "interest": source,
        "name": name,
        "similarity": similarity,
        "interest_rank": _rank(alone, index, float(products[source])),
        "scores": [round(float(value), 6) for value in products],
        "through": _through(recommender, shares, index),
        "left_out": left_out,
    }
    return {key: value for key, value in described.items() if value is not None}


def _rank(scores: Floats, index: int, score: float) -> int:
    """Rank of an item among what may be listed, as if it might itself."""
    value = scores[index] if np.isfinite(scores[index]) else np.float32(score)
    return 1 + int((scores > value).sum()) + int((scores[:index] == value).sum())


def _reason(asked: Asked, index: int) -> str:
    if not asked.keep_seen and index in asked.history:
        return "seen"
    return "excluded" if index in asked.excluded else "not allowed"


def _through(recommender: Recommender, shares: list[tuple[int, float]], index: int) -> list[dict[str, Any]]:
    wanted = np.asarray(recommender.model.vectors[index : index + 1], np.float32)
    made = []
    for place, weight in shares:
        item = recommender.items.item(place)
        own = np.asarray(recommender.model.vectors[place : place + 1], np.float32)
        cosine = float((units(own) @ units(wanted).T)[0, 0])
        made.append(
            {"item": item.item, "title": item.title, "weight": round(weight, 4), "similarity": round(cosine, 4)}
        )
    return made
