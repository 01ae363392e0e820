"""Items of an interest by similarity: the nearest name takes a title, and every text is encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eimf_core.records import HistoryItem, Sample
from eimf_core.text.similarity import TitleVectors, assign


class Letters:
    """A vector of the shares of a, b and c; remembers what it was asked to encode."""

    name = identity = "letters"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str], *_: Any) -> Any:
        self.calls.append(list(texts))
        counts = np.array([[text.count(letter) + 1e-3 for letter in "abc"] for text in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def sample(*titles: str) -> Sample:
    history = [HistoryItem(item=str(at), title=title) for at, title in enumerate(titles)]
    return Sample(key="k" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=history)


def test_a_title_goes_to_the_nearest_name_or_to_none() -> None:
    names = np.eye(3, dtype=np.float32)[:2]
    titles = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1], [0.9, 0.1, 0.1]], dtype=np.float32)
    assert assign(names, titles) == [[0, 3], [1]]
    # a name that is nearest to no title keeps the one nearest to it
    assert assign(np.eye(3, dtype=np.float32), titles[[0, 1]]) == [[0], [1], [0]]
    assert assign(names, titles[:0]) == [[], []]


def test_a_title_below_a_fifth_is_of_no_name() -> None:
    titles = np.array([[1, 0], [0.21, (1 - 0.21**2) ** 0.5], [0.19, (1 - 0.19**2) ** 0.5]], dtype=np.float32)
    assert assign(np.array([[1, 0]], dtype=np.float32), titles) == [[0, 1]]


def test_everything_is_encoded_once() -> None:
    encoder: Any = Letters()
    vectors = TitleVectors(["aab", "b c", "aab"], encoder)
    assert encoder.calls == []
    np.testing.assert_array_equal(vectors.of(["b c", "aab"])[::-1], vectors.of(["aab", "b c"]))
    assert encoder.calls == [["aab", "b c"]]
    first = vectors.of_names(["a", "cc"])
    np.testing.assert_array_equal(vectors.of_names(["cc", "b", "a"])[[2, 0]], first)
    # each alone: the sums of a batch depend on what else is in it
    assert encoder.calls[1:] == [["a"], ["cc"], ["b"]]
