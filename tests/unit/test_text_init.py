"""Item vectors that start from text: the directions in which neighbours in histories agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from eimf_core.dataset import SplitData
from eimf_core.text.cache import encode_items
from eimf_core.text.loading import FEW, open_encoder
from eimf_core.training import item_embeddings, neighbour_init, text_init
from tests.small_training import small_run

TOPICS, ITEMS, WIDTH = 4, 60, 12


def split(histories: list[list[int]]) -> SplitData:
    """Training lines with these item indices."""
    lengths = [len(history) for history in histories]
    return SplitData(
        users=[f"u{at}" for at in range(len(histories))],
        offsets=np.cumsum([0, *lengths]),
        items=np.concatenate([np.zeros(0), *histories]).astype(np.int32),
        target_offsets=np.zeros(len(histories) + 1, dtype=np.int64),
        targets=np.zeros(0, dtype=np.int32),
        times=None,
    )


def topics() -> tuple[npt.NDArray[np.float16], npt.NDArray[np.int64], SplitData]:
    """Text vectors, topics and histories of one topic each. The topic takes little part in the text: what varies most
    has no part in what follows what."""
    rng = np.random.default_rng(0)
    topic = np.arange(ITEMS + 1) % TOPICS
    text = rng.normal(size=(ITEMS + 1, WIDTH))
    text[:, :TOPICS] *= 0.3
    text[np.arange(ITEMS + 1), topic] += 1.0
    text[:, TOPICS:] *= 3.0
    text[0] = 0
    histories = [rng.choice(np.flatnonzero(topic[1:] == user % TOPICS) + 1, 6).tolist() for user in range(80)]
    return text.astype(np.float16), topic, split(histories)


def placed(text: npt.NDArray[Any], start: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    mean, projection = start
    return np.asarray((text[1:] - mean) @ projection.T, dtype=np.float64)


def test_items_start_beside_their_neighbours_though_other_words_tell_them_apart() -> None:
    text, topic, train = topics()
    shares = []
    for start in (text_init.cca_projection(text, train, 3), item_embeddings.principal_components(text, 3)):
        vectors = placed(text, start)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = unit @ unit.T - 9 * np.eye(ITEMS)
        shares.append(np.mean(topic[1:][np.argsort(-cosines)[:, :5]] == topic[1:, None]))
        assert vectors.std() == pytest.approx(item_embeddings.DEVIATION, rel=0.05)
    assert shares[0] > 0.8 > shares[1] + 0.3


def test_the_map_minimises_the_spectral_contrastive_loss() -> None:
    """With the ridge in place of a part of the data: no small change of the map is better, at any scale."""
    text, _, train = topics()
    pairs = neighbour_init.neighbours(train, ITEMS + 1).toarray()
    weights = pairs.sum(axis=1)
    centred = text.astype(np.float64) - weights @ text / weights.sum()
    within = centred.T @ (weights[:, None] * centred) / weights.sum()
    between = centred.T @ pairs @ centred / weights.sum()
    within += text_init.RIDGE * np.trace(within) / WIDTH * np.eye(WIDTH)

    def loss(projection: npt.NDArray[np.float64]) -> float:
        square = projection @ within @ projection.T
        return float(np.trace(square @ square) - 2 * np.trace(projection @ between @ projection.T))

    found = text_init.cca_projection(text, train, 6)[1].astype(np.float64)
    # the map is scaled to the size of item vectors; the loss says which size it would take
    square = found @ within @ found.T
    found *= np.sqrt(np.trace(found @ between @ found.T) / np.trace(square @ square))
    rng = np.random.default_rng(1)
    best = loss(found)
    correlations = np.sort(np.linalg.eigvals(np.linalg.solve(within, between)).real)[::-1][:6]
    assert best == pytest.approx(-np.sum(correlations.clip(0) ** 2), rel=1e-3)
    for _ in range(50):
        assert loss(found + rng.normal(size=found.shape) * 0.05 * found.std()) > best


def test_items_without_text_and_the_size_of_a_block_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, train = topics()
    wanted = text_init.covariances(text, train)
    monkeypatch.setattr(text_init, "CHUNK", 7)
    monkeypatch.setattr(text_init, "BLOCK", 5)
    blank = split(
        [train.history(user).tolist() for user in range(len(train))] + [[1, ITEMS + 1, ITEMS + 1], [ITEMS + 1, 2]]
    )
    found = text_init.covariances(np.concatenate([text, np.zeros((1, WIDTH), np.float16)]), blank)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("histories", [[], [[3]], [[3, 3, 3]]])
def test_without_neighbours_they_start_from_principal_components(histories: list[list[int]]) -> None:
    text, _, _ = topics()
    found, wanted = text_init.cca_projection(text, split(histories), 3), item_embeddings.principal_components(text, 3)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_starts_there(tmp_path: Path) -> None:
    run = small_run(tmp_path / "data", item_vectors="text", dimension=6)
    text = encode_items(tmp_path / "data", run.data.items, open_encoder(None, FEW))
    wanted = placed(text, text_init.cca_projection(text, run.data.splits["train"], 6))
    found = run.learner.table.all().numpy()[1:]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.95
