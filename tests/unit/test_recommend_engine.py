"""Recommendations against what can be worked out by hand: ranking, names, anchors, words, variety, fallback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.diversity import candidates, greedy
from eimf_core.recommend.query.user_histories import history_of
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Query, Recommendation, Sequence
from tests.recommend_models import answered, write_named_model
from tests.small_models import taste_vectors


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_model(tmp_path_factory.mktemp("recommend") / "model")


def ask(path: Path, query: Query, **settings: object) -> Recommendation:
    return answered(Session(path, RecommendConfig(**settings), RecommendRequest(items=["-"])), query)  # type: ignore[arg-type]


def ids(answer: Recommendation) -> list[str]:
    return [item.item for item in answer.items]


def test_ranks_the_taste_of_the_history_and_says_why(path: Path) -> None:
    answer = ask(path, Query(id="me", history=["tea-1", "tea-3", "tea-1"]), k=5)
    assert answer.id == "me" and answer.fallback is None and answer.unknown == []
    assert [item.rank for item in answer.items] == [1, 2, 3, 4, 5]
    assert all(item.item.startswith("tea-") for item in answer.items)
    assert not {"tea-1", "tea-3"} & set(ids(answer))
    assert {item.interest for item in answer.items} == {0}
    (first,) = answer.interests
    assert first.name == "tea drinking" and first.similarity is not None and first.similarity > 0.9
    assert first.weight == 1
    assert [anchor.item for anchor in first.anchors] == ["tea-1", "tea-3"]
    # shares of attention, weighed by how like their groups are
    assert [anchor.weight for anchor in first.anchors] == pytest.approx([2 / 3, 1 / 3], abs=0.01)


def test_scores_are_the_products(path: Path) -> None:
    model = artifact.open_model(path)
    answer = ask(path, Query(history=["yarn-2", "fish-4"]), k=24, seen="keep")
    known = [model.catalogue.index("yarn-2"), model.catalogue.index("fish-4")]
    mean = model.vectors[known].mean(axis=0)
    products = np.abs(model.vectors[1:] @ mean)
    expected = np.sort(products)[::-1]
    np.testing.assert_allclose([item.score for item in answer.items], expected, atol=2e-6)


def test_below_the_threshold_no_name_is_given(path: Path) -> None:
    query = Query(history=["tea-1", "fish-1"])
    assert [interest.name for interest in ask(path, query, k=12).interests] == ["aquarium keeping", "tea drinking"]
    (withheld,) = ask(path, query, name_threshold=0.9999, k=4).interests
    assert withheld.name is None and withheld.similarity is not None and 0.9 < withheld.similarity < 0.9999


def test_unknown_items_are_reported_and_nothing_known_means_popularity(path: Path) -> None:
    answer = ask(path, Query(history=["tea-1", "nope"]))
    assert answer.unknown == ["nope"] and answer.fallback is None and len(answer.items) == 10
    popular = ask(path, Query(history=["nope"]), k=3)
    assert popular.fallback == "popularity" and popular.unknown == ["nope"] and popular.interests == []
    assert [(item.score, item.interest) for item in popular.items] == [(24, None), (23, None), (22, None)]
    assert ask(path, Query(history=[])).fallback == "popularity"
    with pytest.raises(InputError, match="unknown: nope"):
        ask(path, Query(history=["tea-1", "nope"]), strict=True)


def test_exclude_only_seen_and_least_score(path: Path) -> None:
    query = Query(history=["tea-1"], exclude=["tea-2", "nope"], only=["tea-1", "tea-2", "tea-3", "yarn-1", "nope"])
    assert set(ids(ask(path, query))) == {"tea-3", "yarn-1"}
    assert set(ids(ask(path, Query(history=["tea-1"], seen="keep", only=["tea-1"])))) == {"tea-1"}
    assert ids(ask(path, Query(history=["tea-1"], seen="keep"), seen="drop", k=24))
    assert "tea-1" not in ids(ask(path, Query(history=["tea-1"]), k=24))
    assert "tea-1" in ids(ask(path, Query(history=["tea-1"]), k=24, seen="keep"))
    high = ask(path, Query(history=["tea-1"]), min_score=0.5)
    assert high.items and all(item.score >= 0.5 for item in high.items) and len(high.items) < 10
    assert ask(path, Query(history=["tea-1"], only=["nope"])).items == []


def test_a_list_for_each_interest(path: Path) -> None:
    answer = ask(path, Query(history=["tea-1", "tea-2"]), k=3, per_interest=True)
    assert [(item.interest, item.rank) for item in answer.items] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert {item.item[:3] for item in answer.items[:3]} == {"tea"} and ids(answer)[3][:3] != "tea"


def test_variety_brings_other_categories(path: Path) -> None:
    query = Query(history=["tea-1", "tea-2", "yarn-1"])
    plain = ask(path, query, k=4)
    varied = ask(path, query, k=4, diversity=5.0)
    assert {item[:3] for item in ids(plain)} == {"tea"}
    assert {item[:3] for item in ids(varied)[:3]} == {"tea", "yar", "fis"}
    assert ids(varied)[0] == ids(plain)[0]


def test_greedy_variety_agrees_with_the_sum_worked_out_each_time() -> None:
    rng = np.random.default_rng(3)
    scores = np.sort(rng.normal(size=40).astype(np.float32))[::-1]
    categories = [[f"c{number}" for number in sorted({*rng.integers(5, size=rng.integers(0, 3))})] for _ in range(40)]

    def difference(one: int, other: int) -> float:
        a, b = set(categories[one]), set(categories[other])
        return 1 - len(a & b) / len(a | b) if a and b else 0.0

    chosen: list[int] = []
    for _ in range(12):
        gains = {
            at: scores[at] + 0.4 * sum(difference(at, other) for other in chosen)
            for at in range(40)
            if at not in chosen
        }
        chosen.append(max(gains, key=lambda at: (gains[at], -at)))
    assert greedy(scores, categories, 12, 0.4).tolist() == chosen
    assert greedy(scores, categories, 5, 0.0).tolist() == [0, 1, 2, 3, 4]
    assert len(greedy(scores[:3], categories[:3], 5, 1.0)) == 3


def test_a_batch_answers_as_its_queries_alone(path: Path) -> None:
    session = Session(path, RecommendConfig(k=6))
    queries = [
        Query(history=["tea-1"]),
        Query(history=["nope"]),
        Query(history=["yarn-1", "fish-2", "tea-5"], k=2),
        Query(history=["fish-1"], diversity=1.0),
    ]
    asked = [session.resolver.resolve(query) for query in queries]
    together = session.lines(asked)
    assert together == [session.lines([one])[0] for one in asked]
    assert [len(orjson.loads(line)["items"]) for line in together] == [6, 6, 2, 6]


def test_the_history_of_a_user_is_all_that_is_known(tmp_path: Path) -> None:
    timed = {"times": [1.0, 2.0, 3.0], "events": ["view", "view", "buy"]}
    lines = [
        Sequence(user="1", split="test", items=["a", "b", "c"], targets=["d"], target_times=[9.0], **timed),
        Sequence(user="1", split="train", items=["a"]),
        Sequence(user="11", split="test", items=["x"], targets=["y"], times=[1.0]),
        Sequence(user="zoë", split="valid", items=["z"], targets=["y"]),
    ]
    path = tmp_path / "sequences.jsonl"
    jsonl.write(path, lines)
    known = history_of("1", tmp_path)
    # of the target no event is known, so that of the others none may be told either
    assert (known.items, known.times, known.events, known.targets) == (["a", "b", "c", "d"], [1, 2, 3, 9], None, [])
    assert history_of("1", path, as_tested=True) == lines[0]
    assert (history_of("11", path).items, history_of("11", path).times) == (["x", "y"], None)
    assert history_of("zoë", path).items == ["z", "y"]
    with pytest.raises(InputError, match="no line of the user '111'"):
        history_of("111", path)
    jsonl.write(path, [Sequence(user="1", split="test", items=["a"], targets=["d"], target_times=[1.0, 2.0])])
    with pytest.raises(InputError, match=r"sequences\.jsonl:1: field 'target_times': has 2 entries for 1 targets"):
        history_of("1", path)


def test_times_of_known_items_reach_the_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(path, RecommendConfig(), RecommendRequest(items=["-"]))
    seen = []
    interests = session.model.interests
    monkeypatch.setattr(session.model, "interests", lambda *given: seen.append(given[1]) or interests(*given))
    answered(session, Query(history=["tea-1", "nope", "tea-2"], times=[5, 6, 9.5]))
    answered(session, Query(history=["tea-1", "tea-2"]))
    assert [None if times is None else times[0].tolist() for times in seen] == [[5, 9.5], None]


def test_words_need_a_model_that_knows_some(path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot rank by words"):
        ask(path, Query(text="green tea"))
    with pytest.raises(InputError, match="none of history, titles and text"):
        ask(path, Query(id="1"))


def test_an_item_vector_table_of_one_item(tmp_path: Path) -> None:
    from tests.recommend_models import small_items

    items = small_items()[:1]
    assert taste_vectors(items).shape == (2, 4)
    path = write_named_model(tmp_path / "model", items)
    assert ask(path, Query(history=["tea-0"])).items == []
    assert ids(ask(path, Query(history=["tea-0"]), seen="keep")) == ["tea-0"]


def test_a_short_diversified_list_is_chosen_from_a_hundred_items() -> None:
    assert [candidates(k) for k in (1, 10, 50)] == [100, 100, 500]
