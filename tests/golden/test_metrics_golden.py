"""Metric values against ranx and pytrec-eval-terrier (make_metrics_golden.py made the file)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eimf_core.evaluation.metrics import accuracy as metrics

GOLDEN = json.loads(Path(__file__).with_name("metrics.json").read_text())
LISTS = np.array(list(GOLDEN["lists"].values()))
WANTED = np.array([len(items) for items in GOLDEN["targets"].values()])


def hits() -> metrics.Hits:
    rows = np.repeat(np.arange(len(WANTED)), WANTED)
    items = np.concatenate([np.array(items) for items in GOLDEN["targets"].values()])
    return metrics.find_hits(LISTS, rows, items, 201)


def test_hits_are_found() -> None:
    expected = [[item in targets for item in ranked] for ranked, targets in zip(LISTS, GOLDEN["targets"].values())]  # noqa: B905
    np.testing.assert_array_equal(hits(), expected)


@pytest.mark.parametrize("name", sorted(GOLDEN["expected"]))
@pytest.mark.parametrize("k", ["1", "3", "5", "10", "20"])
def test_values(name: str, k: str) -> None:
    ours = metrics.ACCURACY[name](hits(), WANTED, int(k))
    if name == "map":
        # theirs divides by all targets, ours by at most k of them
        ours = ours * np.minimum(WANTED, int(k)) / WANTED
    expected = np.array(GOLDEN["expected"][name][k])
    assert expected.any()
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_ndcg_hits_is_another_figure() -> None:
    found = hits()
    some = found[:, :10].any(axis=1)
    assert (metrics.ndcg_hits(found, WANTED, 10) >= metrics.ndcg(found, WANTED, 10) - 1e-12).all()
    assert metrics.ndcg_hits(found, WANTED, 10)[some].mean() > 1.5 * metrics.ndcg(found, WANTED, 10)[some].mean()
