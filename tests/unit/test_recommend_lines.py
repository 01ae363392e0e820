"""Lines written by the block are, byte for byte, those of each query alone, and what their records would give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
import torch

from eimf_core.model_directory import artifact
from eimf_core.model_directory.opened_model import ModelConfig
from eimf_core.models import registry
from eimf_core.models.shape import Shape
from eimf_core.recommend import attribution
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.output.result_lines import error_line
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Item, Query, Recommendation, SemanticInterest
from eimf_core.training import export
from tests.recommend_models import write_named_model

ITEMS, WIDTH = 3_000, 32


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough items and dimensions that products of one query and of many take other ways through BLAS."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ITEMS + 1, WIDTH)).astype(np.float32)
    vectors[0] = 0
    weights = {
        "item_vectors": vectors,
        "item_scale": rng.uniform(0.5, 2, size=ITEMS + 1).astype(np.float32),
        "item_counts": rng.integers(0, 9, size=ITEMS + 1),
        "named_vectors": rng.normal(size=(40, WIDTH)).astype(np.float32),
    }
    items = [Item(item=f"{at}", title=f'Thing "{at}" \\ é\x1b[31m', categories=[f"c{at % 7}"]) for at in range(ITEMS)]
    named = [SemanticInterest(name=f"interest ☕ {at}") for at in range(40)]
    shape = Shape(dimension=WIDTH, interests=4, max_length=20)
    network = export.network(registry.build("comirec-sa", shape, torch.Generator().manual_seed(0)))
    config = ModelConfig(backbone="comirec-sa", items=ITEMS, dimension=WIDTH, interests=4, max_length=20)
    path = tmp_path_factory.mktemp("lines") / "model"
    artifact.write(path, artifact.Contents(config=config, items=items, weights=weights, network=network, named=named))
    return path


def queries(ids: list[str], number: int) -> Iterator[Query]:
    """All that a query may hold, mixed."""
    rng = np.random.default_rng(1)
    for at in range(number):
        history = [ids[place] for place in rng.integers(len(ids) if at % 2 else 12, size=rng.integers(0, 30))]
        more: dict[str, Any] = {}
        if at % 5 == 0:
            history.append("nöpe")
        if at % 7 == 0:
            more["exclude"] = ids[:5]
        if at % 11 == 0:
            more["only"] = ids[3:9]
        if at % 13 == 0:
            more["k"] = int(rng.integers(1, 30))
        if at % 17 == 0:
            more["seen"] = "keep"
        if at % 19 == 0:
            more["diversity"] = 0.5
        if at % 23 == 0:
            more["times"] = [float(when) for when in range(len(history))]
        yield Query(id=None if at % 3 == 0 else f'u"{at}', history=history, **more)


def as_record(line: bytes) -> bytes:
    """A line that is read as a record and written again."""
    return msgspec.json.encode(msgspec.json.decode(line, type=Recommendation)) + b"\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"anchors": 0}, {"per_interest": True}, {"min_score": 1.0, "diversity": 0.2}, {"name_threshold": 1.0}],
)
def test_a_block_of_lines_is_what_each_query_gets_alone(wide: Path, settings: dict[str, Any]) -> None:
    session = Session(wide, RecommendConfig(**settings), RecommendRequest(queries="-"))
    ids = [item.item for item in session.model.catalogue]
    asked = [session.resolver.resolve(query, line=at) for at, query in enumerate(queries(ids, 400))]
    together = session.lines(asked)
    alone = [session.lines([one])[0] for one in asked]
    assert list(map(as_record, together)) == together
    assert together == alone
    assert len({len(line) for line in alone}) > 50


def test_words_and_interests_without_a_name(tmp_path: Path) -> None:
    path = write_named_model(tmp_path / "model", named=False, words=True)
    session = Session(path, RecommendConfig(name_threshold=0.99), RecommendRequest(queries="-"))
    asked = [
        session.resolver.resolve(query, line=1)
        for query in (Query(text="green tea"), Query(text="a loom", history=["fish-1"]), Query(history=["yarn-1"]))
    ]
    lines = session.lines(asked)
    assert lines == [session.lines([one])[0] for one in asked] == list(map(as_record, lines))
    assert any("name" not in interest for line in lines for interest in orjson.loads(line)["interests"])


def test_errors_and_explanations_are_lines_of_the_same_record(tmp_path: Path) -> None:
    session = Session(write_named_model(tmp_path / "model"), RecommendConfig())
    line = session.line(Query(history=["tea-1"]), explain="yarn-1")
    assert as_record(line) == line and orjson.loads(line)["explain"]["item"] == "yarn-1"
    line = session.similar_line("tea-1")
    assert as_record(line) == line and len(orjson.loads(line)["items"]) == 10
    line = error_line('"7"', "ünusable")
    assert as_record(line) == line and orjson.loads(line)["error"] == "ünusable"


def test_shares_of_a_history_with_repeats() -> None:
    attention = np.array([[[0.125, 0.5, 0.25, 0.125], [0.0, 0.0, 1.0, 0.0]], [[1, 0, 0, 0], [1, 0, 0, 0]]], np.float32)
    histories = [np.array([7, 3, 7, 9]), np.array([4])]
    assert attribution.attention_shares(histories, attention) == [
        [[(3, 0.5), (7, 0.375), (9, 0.125)], [(7, 1.0), (3, 0.0), (9, 0.0)]],
        [[(4, 1.0)], [(4, 1.0)]],
    ]
    assert attribution.attention_shares(histories, attention, 1)[0] == [[(3, 0.5)], [(7, 1.0)]]
