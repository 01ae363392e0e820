"""Every setting of `recommend` changes an answer, and what is out of bounds is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eimf_core.errors import ConfigError, EimfError
from eimf_core.io import jsonl
from eimf_core.recommend import process_pipeline
from eimf_core.recommend.config import ListConfig, RecommendConfig
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Query, Sequence
from tests.recommend_models import write_indexed_model

CHANGED: dict[str, Any] = {
    "k": 3,
    "min_score": 0.9,
    "first_match": True,
    "strict": True,
    "encoder": "./nowhere",
    "seen": "keep",
    "repeat_after": 30,
    "diversity": 2.0,
    "per_interest": True,
    "text_weight": 0.9,
    "anchors": 1,
    "anchor_share": 0.4,
    "name_threshold": 0.99,
    "on_error": "skip",
    "index": True,
    "threads": 3,
}
OUT_OF_BOUNDS = [
    ("k", 0), ("diversity", -1.0), ("diversity", float("inf")), ("min_score", float("nan")), ("text_weight", 1.1),
    ("text_weight", -0.1), ("anchors", -1), ("anchor_share", 1.5), ("name_threshold", 1.5), ("threads", 0),
    ("seen", "maybe"), ("on_error", "maybe"), ("repeat_after", -1.0),
]  # fmt: skip
QUERIES = [
    Query(history=["tea-1", "tea-2", "yarn-1"], times=[1e9, 1.1e9, 1.2e9]),
    Query(history=["tea-1", "yarn-1"], text="an aquarium with fish"),
    Query(titles=["fish"]),
    Query(history=["tea-1", "nobody's"]),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an index that looks at a third of the items."""
    path = write_indexed_model(tmp_path_factory.mktemp("settings") / "model")
    (path.parent / "queries.jsonl").write_text('{"history": ["tea-1"]}\nno query\n{"history": ["yarn-1"]}\n')
    known = Sequence(user="u", split="train", items=["tea-1"], times=[1.2e9])
    jsonl.write(path.parent / "sequences.jsonl", [known])
    return path


def outcomes(path: Path, settings: RecommendConfig) -> Iterator[str]:
    """The answer, or the error, to each way of asking."""
    for query in QUERIES:
        try:
            request = RecommendRequest(user="u", sequences=path.parent)
            yield Session(path, settings, request).line(query).decode()
        except EimfError as error:
            yield str(error)
    written = []
    try:
        written.extend(
            Session(path, settings, RecommendRequest(all_users=path.parent)).stream(path.parent / "queries.jsonl")
        )
    except EimfError as error:
        written.append(str(error).encode())
    yield b"".join(written).decode()


@pytest.fixture(scope="module")
def usual(path: Path) -> list[str]:
    """The answers where nothing is set."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        return list(outcomes(path, RecommendConfig()))


# who answers changes nothing, which `cli/test_ray` holds, and how many `cli/test_recommend_all_users`
@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(RecommendConfig) if field.name not in ("ray", "shard")]
)
def test_a_setting_changes_the_answer(path: Path, usual: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    ordered = process_pipeline.ordered
    monkeypatch.setattr(
        process_pipeline, "ordered", lambda parts, work, number: started.append(number) or ordered(parts, work, number)
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    changed = list(outcomes(path, RecommendConfig(**{name: CHANGED[name]})))
    if name == "threads":
        # no answer depends on how many threads work
        assert changed == usual and started == [3]
    else:
        assert changed != usual and started == [1]


@pytest.mark.parametrize("name", ["anchors", "anchor_share"])
def test_lists_of_each_interest_have_the_anchors_that_are_set(path: Path, name: str) -> None:
    def line(**settings: Any) -> bytes:
        return Session(path, RecommendConfig(per_interest=True, **settings)).line(QUERIES[0])

    assert line(**{name: CHANGED[name]}) != line()


@pytest.mark.parametrize(("name", "value"), OUT_OF_BOUNDS)
def test_what_is_out_of_bounds_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"(--{name.replace('_', '-')}|{name} \(in --config\)) is"):
        RecommendConfig(**{name: value})


def test_similar_has_the_settings_that_change_its_list(path: Path) -> None:
    usual = Session(path, RecommendConfig()).similar_line("tea-1")
    for name in ("k", "min_score"):
        changed = RecommendConfig(**vars(ListConfig(**{name: CHANGED[name]})))
        assert Session(path, changed).similar_line("tea-1") != usual
    with pytest.raises(EimfError, match="--first-match"):
        Session(path, RecommendConfig()).similar_line("fish")
    assert Session(path, RecommendConfig(first_match=True)).similar_line("fish").startswith(b'{"id":"fish-')
