"""Learning from similar users: the loss by hand, who is similar, who is drawn, and what a step does with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eimf_core.dataset import Dataset, SplitData
from eimf_core.errors import ConfigError
from eimf_core.text import cache, loading
from eimf_core.training import distillation
from eimf_core.training.config import TrainConfig
from eimf_core.training.distillation import Distillation
from eimf_core.training.losses.self_distillation import self_distillation
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import Run, small_run, small_settings
from tests.unit.test_training_batches import split

Floats = np.ndarray[Any, np.dtype[np.float32]]
ON: dict[str, Any] = {
    "self_distillation": True, "distillation_weight": 0.5, "distillation_users": 3, "distillation_length": 6,
    "distillation_share": 0.2,
}  # fmt: skip


# -- the loss


def test_the_loss_by_hand() -> None:
    interests = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]], dtype=torch.float64)
    similar = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]], [[[1.0, 0.0]] * 2, [[1.0, 2.0]] * 2]])
    # means of the two: (.5, .5) and (0, .5) for the first user, (1, 1) twice for the second
    expected = ((0.5 + 0.25) / 2 + (1.0 + 1.0) / 2) / 2
    assert self_distillation(interests, similar.double()).item() == pytest.approx(expected)


def test_only_the_learner_is_moved_and_comes_nearer() -> None:
    generator = torch.Generator().manual_seed(0)
    interests = torch.empty(3, 2, 4).normal_(generator=generator).requires_grad_()
    similar = torch.empty(3, 5, 2, 4).normal_(generator=generator).requires_grad_()
    optimiser = torch.optim.Adam([interests], lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        self_distillation(interests, similar).backward()
        optimiser.step()
    assert similar.grad is None
    torch.testing.assert_close(interests.detach(), similar.detach().mean(dim=1), atol=0.02, rtol=0.0)


# -- who is similar


def users(count: int, *, longest: int = 9, seed: int = 0) -> tuple[SplitData, Floats]:
    """Users with distinct items, and a text vector of each item, some of none."""
    rng = np.random.default_rng(seed)
    made = split([int(length) for length in rng.integers(0, longest, size=count)])
    made.items[:] = rng.permutation(len(made.items)) + 1
    text = rng.normal(size=(len(made.items) + 1, 6)).astype(np.float32)
    text[0] = 0.0
    text[rng.random(len(text)) < 0.3] = 0.0
    return made, text


def naive(train: SplitData, text: Floats, longest: int, count: int) -> dict[int, list[int]]:
    """By the formula, one pair of users at a time."""
    seen = [int(item) for item in train.items if text[item].any()]
    centre = text[seen].mean(axis=0)
    means = {}
    for user in range(len(train)):
        words = [text[item] - centre for item in train.history(user) if text[item].any()]
        if words:
            means[user] = np.sum(words, axis=0) / np.linalg.norm(np.sum(words, axis=0))
    long = [user for user in means if len(train.history(user)) > longest]
    found = {}
    for user in means:
        if len(train.history(user)) <= longest and long:
            order = sorted(long, key=lambda other: -float(means[user] @ means[other]))
            found[user] = order[:count]
    return found


@pytest.mark.parametrize("block", [3, 1024])
def test_similar_users_are_the_nearest_with_longer_histories(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation, "BLOCK", block)
    train, text = users(60)
    found = distillation.find_teachers(train, text, longest=4, count=5, rng=np.random.default_rng(0))
    wanted = naive(train, text, 4, 5)
    assert found.students.tolist() == sorted(wanted) and len(wanted) > 10
    assert {user: row.tolist() for user, row in zip(found.students.tolist(), found.similar, strict=True)} == wanted


def test_a_crowd_is_learned_from_by_a_sample_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation, "MAX_TEACHERS", 8)
    train, text = users(200)
    one, same = (
        distillation.find_teachers(train, text, longest=4, count=50, rng=np.random.default_rng(3)) for _ in range(2)
    )
    assert one.similar.shape[1] <= 8 and np.unique(one.similar).size <= 8
    assert np.array_equal(one.similar, same.similar)


@pytest.mark.parametrize("longest", [100, 1])
def test_nobody_to_learn_from_and_nobody_who_learns(longest: int) -> None:
    train, text = split([3, 3, 5]), np.random.default_rng(0).normal(size=(206, 4))
    found = distillation.find_teachers(train, text, longest=longest, count=3, rng=np.random.default_rng(0))
    assert len(found) == 0


# -- a run


def words_of(data: Dataset) -> Floats:
    """Text vectors that say the taste of an item."""
    vectors = np.zeros((len(data.items) + 1, 3), np.float32)
    for at, item in enumerate(data.items, start=1):
        vectors[at, ("tea", "yarn", "fish").index(item.categories[0])] = 1.0
    return vectors


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from eimf_core import dataset

    data = dataset.load(write_small_data(tmp_path), ("train",))
    monkeypatch.setattr(loading, "open_encoder", lambda name, texts: None)
    monkeypatch.setattr(cache, "encode_items", lambda *ignored: words_of(data))
    return tmp_path


def started(folder: Path, **changes: Any) -> tuple[Run, Distillation]:
    run = small_run(folder, **{**ON, **changes})
    assert run.loop.step.distillation is not None
    return run, run.loop.step.distillation


def test_drawn_are_short_histories_and_those_of_their_similar_users(folder: Path) -> None:
    run, made = started(folder)
    train = run.data.splits["train"]
    batch = made.draw(np.random.default_rng(1))
    assert batch is not None and batch.students.shape[0] == 6 and batch.teachers.shape[:2] == (6, 2)
    of = {tuple(train.history(user)[-6:].tolist()): user for user in range(len(train))}
    drawn = [of[tuple(row[row > 0].tolist())] for row in batch.students]
    assert len(set(drawn)) == 6 and all(len(train.history(user)) <= 6 for user in drawn)
    for user, teachers in zip(drawn, batch.teachers, strict=True):
        learned_from = made.teachers.similar[made.teachers.students.tolist().index(user)]
        asked = {of[tuple(row[row > 0].tolist())] for row in teachers}
        assert len(asked) == 2 and asked <= set(learned_from.tolist())


def test_each_similar_user_is_asked_as_often(folder: Path) -> None:
    run, made = started(folder, distillation_share=1.0)
    rng, asked = np.random.default_rng(0), []
    for _ in range(200):
        batch = made.draw(rng)
        assert batch is not None
        asked += [tuple(row[row > 0].tolist()) for row in batch.teachers.reshape(-1, batch.teachers.shape[2])]
    train = run.data.splits["train"]
    expected = np.bincount(made.teachers.similar.ravel()) * 200 * 2 / 3
    for user in np.unique(made.teachers.similar):
        assert asked.count(tuple(train.history(int(user))[-6:].tolist())) == pytest.approx(expected[user], rel=0.25)


@torch.no_grad()
def test_the_loss_of_a_step_is_that_of_each_user_alone(folder: Path) -> None:
    """Dropout aside, padding and equal items among teachers change nothing."""
    run, made = started(folder, dropout=0.0)
    batch = made.draw(np.random.default_rng(1))
    assert batch is not None
    table, backbone = run.learner.table.all(), run.learner.backbone

    def interests(row: np.ndarray[Any, Any]) -> Tensor:
        own = torch.from_numpy(row[row > 0])
        found: Tensor = backbone(table[own][None], torch.ones(1, len(own), dtype=torch.bool))[0][0]
        return found

    each = []
    for row, teachers in zip(batch.students, batch.teachers, strict=True):
        mean = torch.stack([interests(teacher) for teacher in teachers]).mean(dim=0)
        each.append((interests(row) - mean).square().sum(dim=-1).mean())
    loss = made.loss(run.learner, run.loop.side, batch, table, torch.from_numpy(batch.students))
    assert loss.item() == pytest.approx(0.5 * torch.stack(each).mean().item(), rel=1e-4)
    assert backbone.training


def test_a_step_moves_no_item_that_only_similar_users_have(folder: Path) -> None:
    run, _ = started(folder, negatives=1, batch_size=4)
    pairs = run.loop.batches.epoch(np.random.default_rng(0)).batch(0)
    samples = run.loop.step.draw(pairs, np.random.default_rng(5))
    rows, leaf, losses = run.loop.step.losses(pairs, samples)
    (gradient,) = torch.autograd.grad(losses["distillation"], leaf)
    assert gradient.abs().sum() > 0
    batch = samples.distilled
    assert batch is not None
    moved = set(rows[gradient.abs().sum(dim=1) > 0].tolist())
    assert moved == set(batch.students[batch.students > 0].tolist())
    assert set(batch.teachers.ravel().tolist()) - set(rows.tolist()), "teachers had nothing of their own"


def test_a_run_logs_what_it_learns_so_and_is_the_same_for_the_same_seed(folder: Path) -> None:
    run, _ = started(folder)
    weights, again, without = run.go(), started(folder)[0].go(), small_run(folder).go()
    assert all(torch.equal(value, again[name]) for name, value in weights.items())
    assert not torch.equal(weights["table.weight"], without["table.weight"])
    line = run.state.lines[-1]
    assert line["loss"]["distillation"] > 0 and line["gradients"]["distillation"] > 0
    assert run.state.labelled_steps == 0.0


@pytest.mark.parametrize("backbone", ["comirec-dr", "mind", "gru4rec", "sasrec", "mfn"])
def test_any_backbone_with_interests_that_answer_to_each_other(backbone: str, folder: Path) -> None:
    run, _ = started(folder, backbone=backbone, epochs=1, item_categories=True)
    run.go()
    assert run.state.lines[-1]["loss"]["distillation"] > 0


def test_no_student_is_warned_of(folder: Path) -> None:
    said = Listening()
    run = small_run(folder)
    made = Distillation(small_settings(**{**ON, "distillation_length": 50}), run.data, said)
    assert made.draw(np.random.default_rng(0)) is None and "distillation_length 50" in said.warnings[0]
    Distillation(small_settings(**ON), run.data, said)
    assert "learn from 3 similar ones" in said.notes[0]


def test_settings_that_make_no_sense() -> None:
    for name, value in {"weight": -1.0, "users": 0, "share": -0.1, "length": 0}.items():
        with pytest.raises(ConfigError, match=f"distillation_{name}"):
            TrainConfig(**{f"distillation_{name}": value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--self-distillation"):
        TrainConfig(backbone="sine", self_distillation=True)
