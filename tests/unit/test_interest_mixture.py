"""The softmax over pairs of an interest and an item against its formula, and the backbone that is trained by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eimf_core.models import registry
from eimf_core.models.shape import Shape
from eimf_core.training import negatives
from eimf_core.training.losses import full_softmax, log_partition
from eimf_core.training.losses.inputs import ItemGroup
from eimf_core.training.losses.interest_mixture import interest_mixture
from eimf_core.training.losses.sampled_softmax import loss, sampled_softmax
from eimf_core.training.next_item_loss import NextItemLoss
from tests.unit.test_losses import NOTHING, leaves, normal

HITS = (torch.tensor([0, 2, 2, 5]), torch.tensor([1, 0, 4, 3]))


@pytest.fixture(params=[1 << 18, 7, 1], ids=["one block", "blocks of one row", "block smaller than a row"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(log_partition, "BLOCK", request.param)
    return request.param


def naive(interests: Tensor, positives: Tensor, candidates: Tensor, correction: float | None) -> Tensor:
    """Pair by pair; sampled candidate j belongs to interest j mod K, whose sum counts for all of them."""
    number, count = interests.shape[1], len(candidates)
    each = math.ceil(count / number)
    masked = set(zip(*(part.tolist() for part in HITS), strict=True))
    losses = []
    for row, (own, positive) in enumerate(zip(interests, positives, strict=True)):
        wanted, parts = own @ positive, []
        for slot in range(number * (each if correction is not None else count)):
            column, k = (slot % count, slot % number) if correction is not None else (slot % count, slot // count)
            more = 0.0 if correction is None else correction + math.log(count / each)
            if (row, column) not in masked:
                parts.append(own[k] @ candidates[column] + more)
        positive_score = torch.logsumexp(wanted, dim=0)
        losses.append(torch.logsumexp(torch.cat([wanted, torch.stack(parts)]), dim=0) - positive_score)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("correction", [None, 0.7])
@pytest.mark.parametrize("count", [6, 5, 7])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_the_mixture_and_its_gradients(correction: float | None, count: int, scale: float, block: int) -> None:
    values = [scale * normal(6, 3, 4), normal(6, 4, seed=1), normal(count, 4, seed=2)]
    made, wanted = leaves(*values), leaves(*values)
    loss, reference = interest_mixture(*made, HITS, correction), naive(*wanted, correction)
    torch.testing.assert_close(loss, reference)
    (3.0 * loss).backward()
    (3.0 * reference).backward()
    for one, other in zip(made, wanted, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_one_interest_gives_the_sampled_softmax() -> None:
    queries, positives, candidates = normal(6, 4), normal(6, 4, seed=1), normal(5, 4, seed=2)
    expected = sampled_softmax(queries, positives, candidates, torch.full((5,), 0.7).double(), HITS)
    torch.testing.assert_close(interest_mixture(queries[:, None], positives, candidates, HITS, 0.7), expected)


def test_more_interests_than_negatives_and_no_pair() -> None:
    interests, positives, candidates = leaves(normal(2, 5, 3), normal(2, 3, seed=1), normal(2, 3, seed=2))
    interest_mixture(interests, positives, candidates, NOTHING, 0.5).backward()
    assert (interests.grad.abs().sum(dim=(0, 2)) > 0).all(), "each interest sees a negative"
    assert interest_mixture(interests[:0], positives[:0], candidates, NOTHING, 0.5).item() == 0.0


@pytest.mark.slow
def test_shares_of_the_negatives_estimate_the_softmax_over_all_items() -> None:
    """exp(L) - 1 is the sum over the other items beside the target: its mean over draws is that over all items."""
    items, target = normal(40, 5, seed=3).float(), ItemGroup(np.array([7]), torch.tensor([6]))
    interests = normal(1, 4, 5, seed=4).float()
    exact = math.expm1(NextItemLoss(full_softmax.loss, items, items, None, 2.0)(interests, target))
    sampler, rng = negatives.Uniform(40, 12), np.random.default_rng(0)
    draws = [sampler.draw(rng) for _ in range(1000)]
    found = [
        math.expm1(NextItemLoss(loss, items, items[drawn.items - 1], drawn, 2.0)(interests, target)) for drawn in draws
    ]
    assert abs(np.mean(found) - exact) < 4 * np.std(found) / math.sqrt(len(found)) < 0.1 * exact


@torch.no_grad()
def test_each_interest_of_narm_is_a_head_and_the_state_of_the_gru() -> None:
    shape = Shape(dimension=8, interests=3, max_length=6)
    narm = registry.build("narm", shape, torch.Generator().manual_seed(0)).eval()
    vectors = normal(2, 6, 8).float()
    mask = torch.arange(6) < torch.tensor([6, 4])[:, None]
    heads = registry.build("comirec-sa", shape, torch.Generator()).eval().extractor
    state = registry.build("gru4rec", shape, torch.Generator()).eval().encoder
    own = narm.extractor.state_dict()
    heads.load_state_dict({name: own[name] for name in heads.state_dict()})
    state.load_state_dict({name: own[f"sequence.{name}"] for name in state.state_dict()})
    last = state(vectors, mask, {})[torch.arange(2), mask.sum(dim=1) - 1]
    expected = torch.nn.functional.normalize(heads(vectors, mask)[0] + last[:, None], dim=-1)
    torch.testing.assert_close(narm(vectors, mask)[0], expected)
