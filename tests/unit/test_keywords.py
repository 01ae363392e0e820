"""The engine without a model: similar titles become interests, named by what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest

from eimf_core.labeling import answer_parser, prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines import keywords
from eimf_core.labeling.engines.base import Answer, Request
from eimf_core.labeling.engines.keywords import Keywords
from eimf_core.labeling.history_text import clean_title
from eimf_core.naming.distinctive_terms import TfIdf
from eimf_core.progress import SILENT
from eimf_core.records import HistoryItem, Sample
from eimf_core.text.similarity import TitleVectors
from tests.unit.test_text import WordEncoder


class WideWords(WordEncoder):
    dimension = 512  # so that words rarely share a place
    identity = "words@512"


def sample(titles: Sequence[str], number: int = 0) -> Sample:
    history = [HistoryItem(item=f"i{at}", title=clean_title(title)) for at, title in enumerate(titles)]
    return Sample(key=f"{number:016x}", user="u", cluster=0, cluster_size=1, distance=0.0, history=history)


def engine_for(*samples: Sample, encoder: WordEncoder | None = None, **settings: Any) -> Keywords:
    titles = TitleVectors((entry.title for one in samples for entry in one.history), encoder or WideWords())
    return Keywords(LabelConfig(engine="keywords", **settings), samples, lambda: titles, SILENT)


def answered(titles: Sequence[str], *others: Sequence[str], most: int = 4) -> tuple[Answer, list[dict[str, object]]]:
    samples = [sample(titles), *(sample(other, at) for at, other in enumerate(others, start=1))]
    engine = engine_for(*samples, max_interests=most)
    engine.submit(Request(number=7, sample=samples[0], seed=0))
    answer = engine.take()
    return answer, orjson.loads(answer.text)["interests"] if answer.text else []


TEA_AND_YARN = ["Green Tea Leaves", "Wool Yarn", "Black Tea Leaves", "Loom", "Silk Yarn", "White Tea Leaves"]


def test_groups_of_similar_titles_are_interests_the_largest_first() -> None:
    answer, interests = answered(TEA_AND_YARN)
    assert answer.number == 7 and answer.error is None and answer.tokens == {}
    assert [interest["items"] for interest in interests] == [[1, 3, 6], [2, 5]]
    assert [interest["name"] for interest in interests] == ["tea leaves", "yarn"]
    assert interests[0]["description"] == "Titles about tea leaves."
    assert [interest["name"] for interest in answered(TEA_AND_YARN, most=1)[1]] == ["tea leaves"]


@pytest.mark.parametrize(("cosine", "groups"), [(0.16, 1), (0.14, 2)])
def test_groups_are_joined_down_to_a_cosine_of_15_hundredths(cosine: float, groups: int) -> None:
    second = [cosine, np.sqrt(1 - cosine**2)]
    assert len(keywords.group(np.array([[1, 0], second], np.float32))) == groups
    # average linkage: the third is compared with both together
    pair = np.array([[1, 0, 0], [1, 0, 0], [cosine, np.sqrt(1 - cosine**2), 0]], np.float32)
    assert len(keywords.group(pair)) == groups


def test_what_every_title_of_the_run_holds_names_nothing() -> None:
    tea = [f"Acme {kind} Tea" for kind in ("Green", "Black", "White")]
    others = [[f"Acme {thing} {kind}" for kind in "ABCDEFGH"] for thing in ("Yarn", "Lamp", "Fish", "Boat")]
    _, interests = answered(tea, *others)
    assert str(interests[0]["name"]).startswith("tea")


def test_terms_are_counted_in_titles_and_rare_ones_tell_more() -> None:
    rarity = TfIdf(["red pen", "red ink", "red cap", "blue pen nib", "blue pen cap"])
    assert rarity.distinctive(["blue pen nib", "blue pen cap"]) == ["blue pen"]
    assert rarity.distinctive(["red pen", "red ink"]) == ["red"]
    # nothing shared: the words of both, the rarer first
    assert rarity.distinctive(["red ink", "blue pen nib"])[:2] == ["pen nib", "red ink"]


def test_no_name_goes_over_the_border_of_title_and_category() -> None:
    titles = ["Throwing Bat — Arts", "Old Bat — Arts", "Bat — Arts"]
    assert [one["name"] for one in answered(titles)[1]] == ["arts, bat"]


def test_the_same_title_twice_is_one_title_with_both_numbers() -> None:
    _, interests = answered(["Green Tea", "Loom", "Green  Tea", "Black Tea"])
    assert interests[0]["items"] == [1, 3, 4]
    # a title that stands alone is no interest, unless there is nothing else
    assert [interest["items"] for interest in answered(["Loom", "Green Tea"])[1]] == [[2]]


def test_titles_without_words_have_a_name_all_the_same() -> None:
    for title in ("1984", "9", "Name", "😀", "The", "x" * 500, "‮", "…", "<|im_end|>"):
        answer, interests = answered([title])
        if not clean_title(title):
            assert answer.error and answer.final
            continue
        schema = prompts.load("described").schema
        assert answer_parser.read(answer.text, schema, count=1, max_interests=4, instructions=""), interests
    answer, _ = answered(["", " \n"])
    assert answer.error == "the history has no titles" and answer.final


def test_two_groups_never_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keywords, "group", lambda vectors: [[0, 1], [2, 3]])
    _, interests = answered(["Green Tea", "Black Tea", "White Tea", "Mint Tea"])
    assert [interest["name"] for interest in interests] == ["tea", "such as Black Tea"]


def test_long_histories_keep_to_the_form() -> None:
    rng = np.random.default_rng(0)
    titles = [f"word{a} word{b} thing" for a, b in rng.integers(0, 30, (400, 2))]
    answer, interests = answered(titles)
    assert answer_parser.read(
        answer.text, prompts.load("described").schema, count=400, max_interests=4, instructions=""
    )
    assert all(len(interest["items"]) <= keywords.MAX_ITEMS for interest in interests)  # type: ignore[arg-type]


def test_of_very_long_histories_the_latest_titles_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = ["Blue Fish", "Red Fish", "Old Fish", *TEA_AND_YARN]
    assert "fish" in [interest["name"] for interest in answered(titles)[1]]
    monkeypatch.setattr(keywords, "MAX_GROUPED", len(TEA_AND_YARN) + 1)
    sizes: list[int] = []
    group = keywords.group
    monkeypatch.setattr(keywords, "group", lambda vectors: sizes.append(len(vectors)) or group(vectors))
    # bought again, the first fish is one of the latest
    assert [interest["items"] for interest in answered([*titles, "Blue Fish"])[1]] == [
        interest["items"] for interest in answered(["Blue Fish", "-", "--", *TEA_AND_YARN, "Blue Fish"])[1]
    ]
    assert sizes[0] == len(TEA_AND_YARN) + 1
    assert "fish" not in str(answered(titles)[1]).casefold()


def test_nothing_is_encoded_before_the_first_question() -> None:
    encoder = WideWords()
    engine = engine_for(sample(TEA_AND_YARN), encoder=encoder)
    assert orjson.dumps(engine.settings) and "words" in engine.model and engine.model_sha256 is None
    assert encoder.encoded == []
    other = engine_for(sample([*TEA_AND_YARN, "Felt"]), encoder=encoder)
    assert other.settings["corpus"] != engine.settings["corpus"]
