"""The further losses of the labels by hand or against a naive reference, with their gradients and edges."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.training import gradient_norms
from eimf_core.training.losses.item_word_alignment import item_word_alignment


def normal(*shape: int, seed: int = 0) -> Tensor:
    made = torch.empty(*shape, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_()


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
    found = item_word_alignment(items, semantic, numbers, texts, temperature=0.3)
    assert found.item() == pytest.approx((words + back) / 10)
    torch.autograd.gradcheck(lambda e, s: item_word_alignment(e, s, numbers, texts, temperature=0.3), (items, semantic))


def test_words_and_items_with_one_text() -> None:
    """An item has nobody else's words to be told from; every item shows this text."""
    same = torch.zeros(3, dtype=torch.int64)
    loss = item_word_alignment(normal(3, 4), normal(3, 4, seed=1), torch.arange(3), same, temperature=0.1)
    assert loss.item() == 0.0


def test_gradient_norms_of_the_parts() -> None:
    leaf = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    other = torch.ones(1, requires_grad=True)
    parts = {"prediction": 0.5 * leaf.square().sum(), "semantic": other.sum(), "none": torch.zeros(())}
    assert gradient_norms.norms(parts, leaf) == {"prediction": pytest.approx(5.0), "semantic": 0.0}
    # the graph is still there for the step itself
    sum(parts.values(), start=torch.zeros(())).backward()
    assert leaf.grad is not None
    line = {"gradients": {"prediction": 1.0, "alignment": 1.5, "semantic": 0.9}}
    assert gradient_norms.larger_than_prediction(line) == ["alignment"]
    assert gradient_norms.larger_than_prediction({}) == []
