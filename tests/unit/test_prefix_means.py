"""Weighted means of all prefixes: maps and running sums against one prefix at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eimf_core.models import prefix_means

FORMS = [prefix_means.by_maps, prefix_means.by_sums]
forms = pytest.mark.parametrize("form", FORMS, ids=["maps", "sums"])
Form = Callable[[Tensor, Tensor], Tensor]


def drawn(length: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.empty(2, 3, length, dtype=torch.float64).normal_(0.0, 2.0, generator=generator)
    return logits, torch.empty(2, length, 5, dtype=torch.float64).normal_(generator=generator)


def one_at_a_time(logits: Tensor, states: Tensor) -> Tensor:
    ends = range(1, logits.shape[-1] + 1)
    return torch.stack([torch.softmax(logits[..., :end], dim=-1) @ states[:, :end] for end in ends], dim=2)


@forms
@pytest.mark.parametrize("length", [1, prefix_means.BLOCK, prefix_means.BLOCK + 1, 5 * prefix_means.BLOCK - 3, 130])
def test_all_prefixes_at_once_equal_one_at_a_time(form: Form, length: int) -> None:
    logits, states = drawn(length)
    torch.testing.assert_close(form(logits, states), one_at_a_time(logits, states), rtol=1e-10, atol=1e-12)


@forms
def test_so_do_their_gradients(form: Form) -> None:
    found = []
    for means in (form, one_at_a_time):
        logits, states = (part.requires_grad_() for part in drawn(40))
        made = means(logits, states)
        (made * torch.linspace(-1.0, 1.0, made.numel(), dtype=made.dtype).view(made.shape)).sum().backward()
        found.append((logits.grad, states.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@forms
@pytest.mark.parametrize("slope", [3.0, -3.0, 0.0])
def test_logits_far_apart_neither_overflow_nor_vanish(form: Form, slope: float) -> None:
    """In single precision: a sum relative to the largest logit of all would be 0 / 0 for most prefixes."""
    logits, states = drawn(120)
    logits = logits + slope * torch.arange(120) + 1e4 * (slope == 0.0)
    found = form(logits.float(), states.float())
    torch.testing.assert_close(found.double(), one_at_a_time(logits.float().double(), states), rtol=1e-3, atol=1e-4)


def test_long_histories_go_by_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(prefix_means, "by_maps", lambda *_: taken.append("maps"))
    monkeypatch.setattr(prefix_means, "by_sums", lambda *_: taken.append("sums"))
    for length in (50, prefix_means.LONG, prefix_means.LONG + 1):
        prefix_means.prefix_means(*drawn(length))
    assert taken == ["maps", "maps", "sums"]
