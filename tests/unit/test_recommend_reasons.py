"""Reasons are true: words beside a history count, interests of one name are one, ranks are those shown."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eimf_core.recommend import attribution, explain
from eimf_core.recommend.attribution import UserInterests
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Query, Recommendation
from tests.recommend_models import answered, write_named_model

WOOL = "knitting with wool yarn"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_model(tmp_path_factory.mktemp("reasons") / "model", words=True)


def session(path: Path, **settings: Any) -> Session:
    return Session(path, RecommendConfig(**settings), RecommendRequest(items=["-"]))


def ask(path: Path, query: Query, explain: str | None = None, **settings: Any) -> Recommendation:
    return answered(session(path, **settings), query, explain=explain)


def tastes(answer: Recommendation) -> list[str]:
    return [item.item.split("-")[0] for item in answer.items]


# -- words beside a history


def test_words_bring_items_of_their_own_and_are_named_as_their_reason(path: Path) -> None:
    answer = ask(path, Query(history=["fish-1", "fish-2"], text=WOOL), k=6)
    assert {"fish", "yarn"} <= set(tastes(answer)), "both parts of the query are among the first"
    (words,) = [interest for interest in answer.interests if interest.words is not None]
    assert words.words == WOOL and words.index == 2 and words.anchors == []
    for item in answer.items:
        assert (item.interest == words.index) == item.item.startswith("yarn"), item
    assert words.weight == pytest.approx(tastes(answer).count("yarn") / 6, abs=1e-4)
    assert sum(interest.weight for interest in answer.interests) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("weight", "taste"), [(0.0, "fish"), (1.0, "yarn")])
def test_the_weight_goes_from_the_history_alone_to_the_words_alone(path: Path, weight: float, taste: str) -> None:
    history = ["fish-1", "fish-2"]
    fused = ask(path, Query(history=history, text=WOOL), k=6, text_weight=weight)
    alone = ask(path, Query(history=history) if weight == 0 else Query(text=WOOL), k=6)
    assert [item.item for item in fused.items] == [item.item for item in alone.items]
    assert set(tastes(fused)) == {taste}
    assert {item.interest for item in fused.items} == ({0} if weight == 0 else {2})


def test_the_nearest_to_the_words_stand_as_high_as_the_best_for_the_history(path: Path) -> None:
    made = session(path)
    query = made.resolver.resolve(Query(history=["fish-1", "fish-2"], text=WOOL))
    fused = made.recommender.interests([query]).fusions[0]
    assert fused is not None
    vectors = made.model.vectors[1:]
    seen = [made.model.catalogue.index(item) - 1 for item in ("fish-1", "fish-2")]
    own, words = (vectors @ fused.history.T).max(axis=1), vectors @ fused.text
    best = np.sort(np.delete(own, seen))[-10:].mean() - np.delete(own, seen).mean()
    assert np.sort(words)[-10:].mean() - words.mean() == pytest.approx(best, rel=1e-4)
    np.testing.assert_allclose((vectors @ fused.interests.T).max(axis=1), own + words, rtol=1e-4, atol=1e-5)


def test_a_list_for_the_words_too_and_the_same_answers_in_a_batch(path: Path) -> None:
    answer = ask(path, Query(history=["fish-1", "fish-2"], text=WOOL), k=3, per_interest=True)
    assert [item.interest for item in answer.items] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert tastes(answer)[6:] == ["yarn"] * 3 and [item.rank for item in answer.items[6:]] == [1, 2, 3]
    for settings in ({}, {"per_interest": True}, {"diversity": 0.5}):
        made = session(path, **settings)
        queries = [Query(history=["fish-1"], text=WOOL), Query(history=["tea-1"]), Query(text="tea"), Query(history=[])]
        asked = [made.resolver.resolve(query, line=1) for query in queries]
        assert made.lines(asked) == [made.lines([one])[0] for one in asked]


def test_an_item_that_the_words_bring_is_explained_by_them(path: Path) -> None:
    query = Query(history=["fish-1", "fish-2"], text=WOOL)
    answer = ask(path, query, explain="yarn-3", k=24)
    told = answer.explain
    assert told is not None and told["words"] == WOOL and told["through"] == [] and len(told["scores"]) == 3
    assert [item.interest for item in answer.items if item.item == "yarn-3"] == [told["interest"]] == [2]
    other = ask(path, query, explain="fish-5").explain
    assert (
        other is not None and "words" not in other and [row["item"] for row in other["through"]] == ["fish-1", "fish-2"]
    )


# -- interests of the same name


def test_interests_of_one_name_are_one(path: Path) -> None:
    made = session(path, name_threshold=-1, k=24)
    apart = answered(made, Query(history=["tea-1", "tea-2"]))
    assert {interest.name for interest in apart.interests} == {"tea drinking", "knitting", "aquarium keeping"}
    namer = made.recommender.namer
    namer.names, namer.name_of = ["the same"], np.zeros_like(namer.name_of)
    answer = answered(made, Query(history=["tea-1", "tea-2"]))
    (interest,) = answer.interests
    assert (interest.index, interest.name, interest.weight) == (0, "the same", 1.0)
    assert interest.similarity == pytest.approx(
        sum((of.similarity or 0) * of.weight for of in apart.interests), abs=1e-3
    )
    assert {item.interest for item in answer.items} == {0}
    assert [item.item for item in answer.items] == [item.item for item in apart.items]
    assert sum(anchor.weight for anchor in interest.anchors) == pytest.approx(1)
    told = answered(made, Query(history=["tea-1", "tea-2"]), explain=apart.items[-1].item).explain
    assert told is not None and (told["interest"], told["name"]) == (0, "the same")
    assert told["similarity"] == interest.similarity and told["rank"] == len(apart.items)


def test_interests_of_one_name_have_one_list(path: Path) -> None:
    made = session(path, name_threshold=-1, k=5)
    merged = answered(made, Query(history=["tea-1", "tea-2"]))
    each = session(path, name_threshold=-1, k=5, per_interest=True)
    namer = each.recommender.namer
    namer.names, namer.name_of = ["the same"], np.zeros_like(namer.name_of)
    answer = answered(each, Query(history=["tea-1", "tea-2"]))
    assert [(item.item, item.score, item.interest) for item in answer.items] == [
        (item.item, item.score, 0) for item in merged.items
    ]


def test_interests_without_names_are_merged_into_the_first_one_like_them() -> None:
    rng = np.random.default_rng(4)
    axes = np.eye(3, dtype=np.float32)
    turned = [np.array([np.cos(angle), np.sin(angle), 0], np.float32) for angle in (0.0, 0.15, 0.3, 0.45)]
    others = [axes[0], 0 * axes[0], 5 * axes[0], axes[1]]
    interests = np.stack([np.stack(turned), np.stack(others), rng.normal(size=(4, 3))])
    merged = attribution.merge([[(None, None)] * 4] * 3, interests.astype(np.float32), [False, False, True])
    # the third is like the second, which is of the first one's group, but not like the first; zeros are like nothing
    assert merged == [[0, 0, 2, 2], [0, 1, 0, 3], [0, 0, 0, 0]]
    assert attribution.merge(None, interests.astype(np.float32), [False, False, True]) == merged


def test_interests_of_one_name_are_merged_into_the_first() -> None:
    named = [("a", 0.5), (None, 0.2), ("b", 0.6), ("a", 0.7), (None, 0.1)]
    interests = np.array([[[0, 1], [1, 3], [1, 1], [3, 1], [1, 0]]], np.float32)
    (merged_into,) = attribution.merge([named], interests)  # type: ignore[list-item]
    assert merged_into == [0, 1, 2, 0, 4] and attribution.any_merged(merged_into)
    assert attribution.merged_names(named, merged_into) == [("a", 0.7), (None, 0.2), ("b", 0.6), None, (None, 0.1)]  # type: ignore[arg-type]
    assert attribution.group_members(interests, [merged_into], 0)[0].tolist() == [[0, 1], [3, 1]]
    assert attribution.group_members(interests, [merged_into], 2)[0].tolist() == [[1, 1]]
    weights = np.array([[[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5], [0, 1]]], np.float32)
    assert attribution.merged_attention(weights, [merged_into])[0, 0].tolist() == [0.75, 0.25]


def test_interests_that_are_nearly_one_vector_are_one_whatever_their_names() -> None:
    near = [np.cos(0.19), np.sin(0.19)]  # a cosine of .982
    vectors = np.array([[[1, 0], [0, 1], near, [0, 3], [0.95, 0.32], [0, 0]]], np.float32)
    named = [(None, 0.1), ("b", 0.5), ("c", 0.6), (None, 0.3), ("d", 0.4), (None, None)]
    (merged_into,) = attribution.merge([named], vectors)  # type: ignore[list-item]
    # .95 to the first is another direction
    assert merged_into == [0, 1, 0, 1, 4, 5]
    assert attribution.merged_names(named, merged_into)[:2] == [("c", 0.6), ("b", 0.5)]  # type: ignore[arg-type]


@pytest.mark.parametrize("history", [["tea-1"], ["tea-1"] * 3, ["tea-1", "nope"]])
@pytest.mark.parametrize("threshold", [-1, 1])
def test_one_item_is_one_interest(path: Path, history: list[str], threshold: float) -> None:
    """Whatever it brings, and whatever its vectors: those of this model's two interests are opposite."""
    for settings, number in (({"per_interest": True, "k": 3}, 3), ({"k": 23}, 23)):
        answer = ask(path, Query(history=history), name_threshold=threshold, **settings)
        assert [item.interest for item in answer.items] == [0] * number
        (interest,) = answer.interests
        assert [(anchor.item, anchor.weight) for anchor in interest.anchors] == [("tea-1", 1)]
        assert number == 3 or interest.name == (None if threshold == 1 else "tea drinking")
    two = ask(path, Query(history=["tea-1", "yarn-1"]), k=22, name_threshold=-1)
    assert len(two.interests) > 1


# -- anchors


def test_a_history_item_with_next_to_no_share_is_no_reason() -> None:
    attention = np.array([[[0.9, 0.09, 0.01], [0.4, 0.35, 0.25]]], np.float32)
    found = attribution.attention_shares([np.array([5, 6, 7])], attention, 3, 0.1)
    assert [[item for item, _ in of] for of in found[0]] == [[5], [5, 6, 7]]
    # the largest is named however small
    even = np.full((1, 1, 40), 1 / 40, np.float32)
    assert [len(of) for of in attribution.attention_shares([np.arange(1, 41)], even, 3, 0.1)[0]] == [1]
    assert [len(of) for of in attribution.attention_shares([np.arange(1, 41)], even, 3)[0]] == [3]


def test_the_least_share_is_a_setting(path: Path) -> None:
    query = Query(history=["tea-1", "tea-2", "tea-3", *["tea-4"] * 7])
    assert [len(ask(path, query, anchor_share=share).interests[0].anchors) for share in (0.0, 0.1, 0.2)] == [3, 3, 1]


# -- explanations agree with the list


@pytest.mark.parametrize(
    "settings",
    [
        {"diversity": 0.7},
        {"diversity": 3.0},
        {"min_score": 0.3},
        {"min_score": 0.2, "diversity": 0.5},
        {"per_interest": True},
        {"per_interest": True, "diversity": 0.7},
    ],
)
@pytest.mark.parametrize("text", [None, WOOL])
def test_the_rank_explained_is_the_rank_shown(path: Path, settings: dict[str, Any], text: str | None) -> None:
    query = Query(history=["tea-1", "yarn-1", "tea-2"], text=text)
    made = session(path, k=12, **settings)
    # the words are the same each time
    made.resolver._text_vector = cache(made.resolver._text_vector)
    answer = answered(made, query)
    shown = {(item.item, item.interest): (item.rank, item.score) for item in answer.items}
    assert shown
    for item in made.model.catalogue:
        told = answered(made, query, explain=item.item).explain
        assert told is not None
        found = shown.get((item.item, told["interest"]))
        if found is None:
            assert "left_out" in told or told["rank"] > min(12, len(answer.items)), told
        else:
            assert (told["rank"], told["score"]) == found and "left_out" not in told


def test_the_least_score_counts_as_in_the_list_to_the_last_digit(path: Path) -> None:
    query = Query(history=["tea-1", "yarn-1", "tea-2"])
    made = session(path, k=24)
    asked = made.resolver.resolve(query)
    interests, scores = made.recommender.interests([asked]), made.recommender.item_scores
    items = np.setdiff1d(np.arange(1, 25), asked.seen)
    exact = scores._scores_of_pairs(interests.vectors, items * 0, items, scores.parts([asked]), None)
    for least in exact.tolist():
        some = session(path, k=24, min_score=least)
        listed = answered(some, query).items
        for item in {listed[0].item, listed[-1].item}:
            told = answered(some, query, explain=item).explain
            assert told is not None and "left_out" not in told and told["of"] == len(listed)


def test_what_is_left_out_is_told_with_the_reason(path: Path) -> None:
    query = Query(history=["tea-1"], exclude=["tea-2"])
    assert ask(path, query, explain="tea-2").explain["left_out"] == "excluded"  # type: ignore[index]
    low = ask(path, query, explain="yarn-1", min_score=0.5).explain
    assert low is not None and low["left_out"] == "its score is below --min-score 0.5"
    some = Session(path, RecommendConfig(), RecommendRequest(items=["-"], only=["category=fish"]))
    told = answered(some, Query(history=["tea-1"]), explain="tea-3").explain
    assert told is not None and told["left_out"] == "not allowed by --only"


# -- empty lists


@pytest.mark.parametrize(
    ("query", "settings", "why"),
    [
        (Query(history=["tea-1"], only=[]), {}, "only leaves none of the 24 items"),
        (Query(history=["tea-1"], only=["tea-1"]), {}, "seen leaves none of the 1 items that only left"),
        (
            Query(history=["tea-1"], only=["tea-2"], exclude=["tea-2"]),
            {},
            "exclude leaves none of the 1 items that only left",
        ),
        (Query(history=["tea-1"]), {"min_score": 9.0}, "--min-score 9 leaves none of the 23 items that seen left"),
        (Query(history=["nope"], only=[]), {}, "only leaves none of the 24 items"),
        (Query(text="tea", only=[]), {"per_interest": True}, "only leaves none of the 24 items"),
    ],
)
def test_an_empty_list_says_which_filter_emptied_it(
    path: Path, query: Query, settings: dict[str, Any], why: str
) -> None:
    made = session(path, **settings)
    answer = answered(made, query)
    assert answer.items == [] and answer.empty == why
    assert ask(path, Query(history=["tea-1"])).empty is None


def test_filters_of_the_command_are_named_by_their_options(path: Path, tmp_path: Path) -> None:
    (tmp_path / "stock.txt").write_text("tea-2\ntea-3\n")
    request = RecommendRequest(items=["-"], only_items=tmp_path / "stock.txt", only=["category=fish"])
    answer = answered(Session(path, RecommendConfig(), request), Query(history=["yarn-1"]))
    assert answer.empty == "--only leaves none of the 2 items that --only-items left"


def test_an_explanation_has_one_score_of_interests_that_are_nearly_one() -> None:
    interests = UserInterests(np.zeros((1, 4, 2), np.float32), None, [None], [[]], [[0, 0, 2, 0]])
    assert explain._best_of_merged([0.5, 0.5000001, 0.25, 0.5], interests) == [0.5, 0.25]
