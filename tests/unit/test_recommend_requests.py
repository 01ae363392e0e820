"""Everything that `recommend`, `similar` and `serve` can be asked changes an answer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from eimf_core.io import jsonl
from eimf_core.recommend import all_users
from eimf_core.recommend.config import ListConfig, RecommendConfig
from eimf_core.recommend.query.request import ListRequest, QueryRequest, RecommendRequest
from eimf_core.recommend.session import Session, recommend, similar
from eimf_core.records import Item, Query, Sequence
from tests.recommend_models import write_named_model

TEA = ["tea-1", "tea-2"]
Fields = dict[str, Any]
CHANGED: dict[str, tuple[Fields, Fields]] = {
    "exclude": ({"items": TEA}, {"exclude": ["tea-0"]}),
    "exclude_items": ({"items": TEA}, {"exclude_items": "tea-0.txt"}),
    "only_items": ({"items": TEA}, {"only_items": "tea-0.txt"}),
    "only": ({"items": TEA}, {"only": ["category=yarn"]}),
    "new_items": ({"items": TEA}, {"new_items": "new.jsonl"}),
    "boost": ({"items": TEA}, {"boost": "boosts.csv"}),
    "items": ({"items": TEA}, {"items": ["yarn-1"]}),
    "like": ({"items": TEA}, {"like": ["Jasmine"]}),
    "user": ({"user": "u", "sequences": "one"}, {"user": "v"}),
    "sequences": ({"user": "u", "sequences": "one"}, {"sequences": "other"}),
    "all_users": ({"all_users": "one"}, {"all_users": "other"}),
    "as_tested": ({"user": "u", "sequences": "one"}, {"as_tested": True}),
    "text": ({"items": TEA}, {"text": "an aquarium with fish"}),
    "queries": ({"queries": "tea.jsonl"}, {"queries": "yarn.jsonl"}),
    "explain": ({"items": TEA}, {"explain": "fish-1"}),
}
"""For each field a request without it, or with another value, and the change."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows words, and the files that requests name."""
    folder = tmp_path_factory.mktemp("requests")
    write_named_model(folder / "model", words=True)
    (folder / "tea-0.txt").write_text("tea-0\n")
    (folder / "boosts.csv").write_text("item,factor\nfish-1,50\n")
    jsonl.write(folder / "new.jsonl", [Item(item="new", title="Green Tea with Jasmine", categories=["tea"])])
    for name, first in (("one", "tea-1"), ("other", "fish-1")):
        (folder / name).mkdir()
        known = [
            Sequence(user="u", split="train", items=[first, first]),
            Sequence(user="u", split="test", items=[first, first], targets=["yarn-3"]),
            Sequence(user="v", split="train", items=["yarn-1", "yarn-2"]),
        ]
        jsonl.write(folder / name / "sequences.jsonl", known)
    for taste in ("tea", "yarn"):
        jsonl.write(folder / f"{taste}.jsonl", [Query(history=[f"{taste}-1"])])
    return folder


def answers(folder: Path, asked: Fields) -> list[Fields]:
    """What the command line would write, but for what it says of the request; paths are within `folder`."""
    paths = {"exclude_items", "only_items", "new_items", "boost", "sequences", "all_users", "queries"}
    placed = {name: folder / value if name in paths else value for name, value in asked.items()}
    if "queries" in placed:
        placed["queries"] = str(placed["queries"])
    request = RecommendRequest(**placed)
    ask = recommend if request.all_users is None else all_users.lines
    lines = b"".join(ask(folder / "model", RecommendConfig(), request)).splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name not in ("id", "history")} for line in lines
    ]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(RecommendRequest)])
def test_each_field_of_a_request_changes_the_answer(folder: Path, name: str) -> None:
    base, change = CHANGED[name]
    assert set(change) == {name}
    assert answers(folder, {**base, **change}) != answers(folder, base)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ListRequest)])
def test_similar_and_serve_hold_to_what_may_be_listed(folder: Path, name: str) -> None:
    value: Any = CHANGED[name][1][name]
    value = folder / value if isinstance(value, str) else value
    usual = similar(folder / "model", ListConfig(), "tea-2", ListRequest())
    assert similar(folder / "model", ListConfig(), "tea-2", ListRequest(**dict[str, Any]({name: value}))) != usual
    # `serve` answers Query lines by a session with such a request
    session, changed = (
        Session(folder / "model", RecommendConfig(), request)
        for request in (QueryRequest(), QueryRequest(**dict[str, Any]({name: value})))
    )
    assert changed.line(Query(history=TEA)) != session.line(Query(history=TEA))


def test_boosts_are_part_of_what_serve_is_asked(folder: Path) -> None:
    assert {field.name for field in dataclasses.fields(QueryRequest)} == {
        "boost", *(field.name for field in dataclasses.fields(ListRequest)),
    }  # fmt: skip
    usual, boosted = (
        Session(folder / "model", RecommendConfig(), request).line(Query(history=TEA))
        for request in (QueryRequest(), QueryRequest(boost=folder / "boosts.csv"))
    )
    assert boosted != usual
