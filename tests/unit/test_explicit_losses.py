"""The further losses of the labels by hand or against a naive reference, with their gradients and edges."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.training import gradient_norms, schedule
from eimf_core.training.losses.distribution_alignment import distribution_alignment
from eimf_core.training.losses.item_word_alignment import words_and_items
from eimf_core.training.losses.modality_alignment import match, modality_alignment
from eimf_core.training.losses.prototype_alignment import prototype_alignment


def normal(*shape: int, seed: int = 0) -> Tensor:
    made = torch.empty(*shape, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_()


def test_distributions_by_hand() -> None:
    """One user, one interest each, at right angles, and the two items they point to."""
    behavioural, semantic = torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]])
    mask, items = torch.ones(1, 1, dtype=torch.bool), torch.eye(2)
    loss = distribution_alignment(behavioural, semantic, mask, items, temperature=0.5)
    high, low = math.exp(2) / (math.exp(2) + 1), 1 / (math.exp(2) + 1)
    assert loss.item() == pytest.approx((high - low) * math.log(high / low), rel=1e-5)


def test_distributions_that_agree_cost_nothing_and_weights_count() -> None:
    behavioural, mask, items = normal(2, 2, 4), torch.ones(2, 2, dtype=torch.bool), normal(6, 4, seed=1)
    same = distribution_alignment(behavioural, 5.0 * behavioural, mask, items, temperature=0.2)
    assert same.item() == pytest.approx(0.0, abs=1e-12)
    semantic = normal(2, 2, 4, seed=2)
    alone = [
        distribution_alignment(behavioural[at : at + 1], semantic[at : at + 1], mask[:1], items, temperature=0.2)
        for at in range(2)
    ]
    weighted = distribution_alignment(
        behavioural, semantic, mask, items, temperature=0.2, weights=torch.tensor([0.75, 0.25], dtype=torch.float64)
    )
    assert weighted.item() == pytest.approx(0.75 * alone[0].item() + 0.25 * alone[1].item())


def test_distributions_teach_both_ways_and_fall() -> None:
    behavioural, semantic, items = normal(3, 2, 4), normal(3, 2, 4, seed=1), normal(8, 4, seed=2).detach()
    mask = torch.tensor([[True, True], [True, False], [True, True]])
    optimiser = torch.optim.Adam([behavioural, semantic], lr=0.05)
    values = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = distribution_alignment(behavioural, semantic, mask, items, temperature=0.3)
        loss.backward()
        values.append(loss.item())
        assert behavioural.grad is not None and semantic.grad is not None
        assert (semantic.grad[1, 1] == 0).all(), "an interest that does not exist was moved"
        optimiser.step()
    assert values[-1] < 0.1 * values[0]


def test_prototypes_against_a_naive_reference() -> None:
    behavioural, prototypes, clusters = normal(4, 3, 5), normal(3, 5, seed=1), torch.tensor([0, 2, 1, 2])
    loss = prototype_alignment(behavioural, prototypes, clusters, temperature=0.2)
    total = 0.0
    for user, own in enumerate(clusters.tolist()):
        best = [
            max(functional.cosine_similarity(behavioural[user, k], prototypes[r], dim=0).item() for k in range(3))
            for r in range(3)
        ]
        total -= math.log(math.exp(best[own] / 0.2) / sum(math.exp(value / 0.2) for value in best))
    assert loss.item() == pytest.approx(total / 4)
    torch.autograd.gradcheck(
        lambda v, p: prototype_alignment(v, p, clusters, temperature=0.2), (behavioural, prototypes)
    )


def test_one_prototype_has_nothing_to_be_told_from() -> None:
    loss = prototype_alignment(
        normal(2, 3, 4), normal(1, 4, seed=1), torch.zeros(2, dtype=torch.int64), temperature=0.1
    )
    assert loss.item() == 0.0


def test_words_and_items_against_a_naive_reference() -> None:
    items, semantic = normal(5, 4), normal(5, 4, seed=1)
    numbers, texts = torch.tensor([7, 7, 8, 9, 9]), torch.tensor([0, 1, 0, 2, 1])
    shown = set(zip(numbers.tolist(), texts.tolist(), strict=True))
    words, back = 0.0, 0.0
    for at in range(5):
        scores = [functional.cosine_similarity(items[at], semantic[j], dim=0).item() / 0.3 for j in range(5)]
        others = [scores[j] for j in range(5) if (int(numbers[at]), int(texts[j])) not in shown]
        back -= math.log(math.exp(scores[at]) / (math.exp(scores[at]) + sum(map(math.exp, others))))
        scores = [functional.cosine_similarity(items[j], semantic[at], dim=0).item() / 0.3 for j in range(5)]
        others = [scores[j] for j in range(5) if (int(numbers[j]), int(texts[at])) not in shown]
        words -= math.log(math.exp(scores[at]) / (math.exp(scores[at]) + sum(map(math.exp, others))))
    found = words_and_items(items, semantic, numbers, texts, temperature=0.3)
    assert [loss.item() for loss in found] == [pytest.approx(words / 5), pytest.approx(back / 5)]
    torch.autograd.gradcheck(lambda e, s: words_and_items(e, s, numbers, texts, temperature=0.3), (items, semantic))


def test_words_and_items_with_one_text() -> None:
    """An item has nobody else's words to be told from; every item shows this text."""
    same = torch.zeros(3, dtype=torch.int64)
    losses = words_and_items(normal(3, 4), normal(3, 4, seed=1), torch.arange(3), same, temperature=0.1)
    assert [loss.item() for loss in losses] == [0.0, 0.0]


def test_weights_of_users_spread_over_their_pairs() -> None:
    """All weight on equal users is the mean; a user of weight 0 moves nothing of its own."""
    behavioural, semantic = normal(3, 2, 4), normal(3, 2, 4, seed=1)
    mask, texts = torch.tensor([[True, True], [True, True], [True, True]]), torch.arange(6).reshape(3, 2)
    mean = modality_alignment(behavioural, semantic, mask, texts, temperature=0.2)
    equal = modality_alignment(
        behavioural, semantic, mask, texts, temperature=0.2, weights=torch.full((3,), 1 / 3, dtype=torch.float64)
    )
    assert equal.item() == pytest.approx(mean.item())
    users, _, _ = match(functional.normalize(behavioural, dim=-1), functional.normalize(semantic, dim=-1), mask)
    assert users.bincount().tolist() == [2, 2, 2]
    doubled = modality_alignment(
        behavioural, semantic, mask, texts, temperature=0.2, weights=torch.full((3,), 2 / 3, dtype=torch.float64)
    )
    assert doubled.item() == pytest.approx(2 * mean.item())


@pytest.mark.parametrize(
    ("epochs", "warm_up", "half_life", "wanted"),
    [
        (0.0, 0.0, 0.0, 1.0), (0.0, 2.0, 0.0, 0.0), (0.5, 2.0, 0.0, 0.25), (9.0, 2.0, 0.0, 1.0), (3.0, 0.0, 3.0, 0.5),
        (1.0, 2.0, 3.0, 0.5), (5.0, 2.0, 3.0, 0.5),
    ],
)  # fmt: skip
def test_schedule(epochs: float, warm_up: float, half_life: float, wanted: float) -> None:
    assert schedule.factor(epochs, warm_up=warm_up, half_life=half_life) == pytest.approx(wanted)


def test_gradient_norms_of_the_parts() -> None:
    leaf = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    other = torch.ones(1, requires_grad=True)
    parts = {"prediction": 0.5 * leaf.square().sum(), "semantic": other.sum(), "none": torch.zeros(())}
    assert gradient_norms.norms(parts, leaf) == {"prediction": pytest.approx(5.0), "semantic": 0.0}
    # the graph is still there for the step itself
    sum(parts.values(), start=torch.zeros(())).backward()
    assert leaf.grad is not None
    line = {"gradients": {"prediction": 1.0, "alignment": 1.5, "semantic": 0.9}}
    assert gradient_norms.drowning(line) == ["alignment"] and gradient_norms.drowning({}) == []
