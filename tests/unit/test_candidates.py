"""What is chosen on the validation users: weights of members, and the graph of next items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.evaluation.metrics import accuracy
from eimf_core.evaluation.scorers import Scored
from eimf_core.numeric import ranking
from eimf_core.training import candidates, member_weights, next_item_choice
from eimf_core.training.candidates import NEVER, CandidateBlock
from eimf_core.training.validation import sampled_users
from tests.recommend_models import small_items
from tests.small_data import write_small_data


class Fixed:
    """Scores items by falling index, or those of the history highest."""

    name = "fixed"

    def __init__(self, items: int, *, seen: bool = False) -> None:
        self._items, self._seen = items, seen

    def score(self, histories: Sequence[Any], times: Any = None, events: Any = None) -> Scored:
        values = np.tile(-np.linspace(0, 0.1, self._items + 1, dtype=np.float32), (len(histories), 1))
        values[:, 0] = -np.inf
        for row, history in zip(values, histories, strict=True):
            row[history] += float(self._seen)
        return Scored(values)


def block_of(rng: np.random.Generator, members: int = 3) -> CandidateBlock:
    """Invented scores of 40 users for 30 items, of which each wants one to three."""
    wanted = [np.sort(rng.choice(np.arange(1, 31), size=rng.integers(1, 4), replace=False)) for _ in range(40)]
    owners = np.repeat(np.arange(40), [len(own) for own in wanted])
    targets = np.concatenate(wanted)
    made = rng.normal(size=(members, 40, 30)).astype(np.float32)
    for scored in made[:2]:
        scored[owners, targets - 1] += rng.normal(1.0, 1.0, size=len(targets)).astype(np.float32)
    return CandidateBlock(np.tile(np.arange(1, 31), (40, 1)), made, owners, targets)


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_never_worse_than_the_best_member(seed: int) -> None:
    chosen = member_weights.choose([block_of(np.random.default_rng(seed))])
    assert chosen.ndcg >= chosen.members.max()
    assert chosen.weights.sum() == pytest.approx(1.0) and (chosen.weights >= 0).all()
    # two members that know something, and noise
    assert chosen.ndcg > chosen.members.max() and chosen.weights[2] < 0.2


def test_ndcg_of_candidates_is_that_of_evaluation() -> None:
    block = block_of(np.random.default_rng(7))
    values = block.scores[0].round(0)  # with ties
    table = np.concatenate([np.full((40, 1), -np.inf, np.float32), values], axis=1)
    lists = ranking.top_k(table, 10)
    hits = accuracy.find_hits(lists, block.owners, block.targets, 31)
    known = accuracy.ndcg(hits, np.bincount(block.owners), 10)
    np.testing.assert_allclose(replace(block, scores=values[None]).ndcg(np.ones(1)), known, atol=1e-12)


def test_each_member_is_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """From equal weights alone no way leads to a member that is best without the others."""
    monkeypatch.setattr(candidates, "mean_ndcg", lambda _, weights: 1.0 if weights[1] == 1.0 else 0.5)
    chosen = member_weights.choose([block_of(np.random.default_rng(0))])
    assert chosen.weights.tolist() == [0, 1, 0] and chosen.ndcg == 1.0 and chosen.members.tolist() == [0.5, 1.0, 0.5]


def test_what_was_seen_is_not_listed(tmp_path: Path) -> None:
    data = dataset.load(write_small_data(tmp_path))
    users, rows = sampled_users(data, 0, np.random.default_rng(0))
    for row in rows[:20].tolist():
        own = np.array([row])
        (block,) = member_weights.blocks([Fixed(len(data.items), seen=True)], users, own, len(data.items) + 1)
        seen = np.isin(block.items[0], users.history(row))
        scores = block.scores[0, 0]
        assert (scores[seen] == NEVER).all() and (scores[~seen] > NEVER).sum() >= 10


def walked(folder: Path, *, backwards: bool) -> Dataset:
    """Histories of two neighbours on a circle of items; asked for the first where the second is known, or the other
    way round."""
    write_small_data(folder)
    names = [item.item for item in small_items()]
    lines = []
    for user, (one, other) in enumerate(zip(names, names[1:] + names[:1], strict=True)):
        known, asked = (other, one) if backwards else (one, other)
        lines.append({"user": f"u{user}", "split": "train", "items": [one, other], "targets": []})
        lines.append({"user": f"v{user}", "split": "valid", "items": [known], "targets": [asked]})
    (folder / "sequences.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return dataset.load(folder)


@pytest.mark.parametrize("backwards", [False, True])
def test_the_graph_looks_back_where_that_is_better(backwards: bool, tmp_path: Path) -> None:
    data = walked(tmp_path, backwards=backwards)
    users, rows = sampled_users(data, 0, np.random.default_rng(0))
    chosen = next_item_choice.choose(Fixed(len(data.items)), users, [rows], data)
    assert chosen.graph is not None and chosen.graph.config.backward == float(backwards)
    assert chosen.without < 0.5 and chosen.ndcg > (0.6 if backwards else 0.99)
