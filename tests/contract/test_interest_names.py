"""Interests of the example shop get their right names, learned from the bundled labeler's labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.recommend.config import RecommendConfig
from tests.conftest import Eimf
from tests.shop_names import SHOP, Judge, measure

EPOCHS = 4
"""A short training."""


@pytest.mark.slow
def test_nine_in_ten_interests_are_rightly_named_and_more_than_by_words(eimf: Eimf, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="the labels come from the bundled labeler: pip install eimf[llama]")
    steps = (
        ("prepare", SHOP / "interactions.csv", "--items", SHOP / "items.jsonl", "-o", "data"),
        ("cluster", "data", "--budget", "10%", "-o", "samples.jsonl"),
        ("label", "samples.jsonl", "--model", "bundled", "-o", "labels.jsonl"),
        ("train", "data", "--labels", "labels.jsonl", "--epochs", EPOCHS, "-o", "model"),
    )
    for step in steps:
        done = eimf(*step, cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
    judge, threshold = Judge(), RecommendConfig().name_threshold
    sequences = tmp_path / "data" / "sequences.jsonl"
    by_labels = measure(judge, tmp_path / "model", sequences, threshold)
    by_words = measure(judge, tmp_path / "model", sequences, threshold, words=True)
    assert by_labels["judged"] > 1_000
    for share in ("right", "items_right", "lists_right"):
        assert by_labels[share] >= 0.9, by_labels
        assert by_labels[share] > by_words[share] + 0.1, (by_labels, by_words)
    # what the shares are measured against: names that mean nothing would be right once in so many
    assert by_words["right"] > 3 / len(judge.themes)
