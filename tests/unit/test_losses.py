"""Every loss against a naive reference that follows its formula, and the gradients against autograd."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.models.readout import hard_readout
from eimf_core.training import negatives
from eimf_core.training.losses import log_partition
from eimf_core.training.losses.full_softmax import full_softmax
from eimf_core.training.losses.modality_alignment import match, modality_alignment
from eimf_core.training.losses.sampled_softmax import sampled_softmax

NOTHING = (torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normal values in double precision, so that a reference differs by rounding alone."""
    return torch.empty(*shape, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(seed))


def leaves(*values: Tensor) -> list[Tensor]:
    return [value.clone().requires_grad_() for value in values]


def naive_sampled(
    queries: Tensor, positives: Tensor, candidates: Tensor, correction: Tensor | None, masked: set[tuple[int, int]]
) -> Tensor:
    total = queries.new_zeros(())
    for row, (query, positive) in enumerate(zip(queries, positives, strict=True)):
        wanted = (query * positive).sum()
        parts = [wanted]
        for column, candidate in enumerate(candidates):
            if (row, column) not in masked:
                parts.append((query * candidate).sum() + (0.0 if correction is None else correction[column]))
        total = total - (wanted - torch.logsumexp(torch.stack(parts), dim=0))
    return total / len(queries)


@pytest.fixture(params=[1 << 18, 7, 1], ids=["one block", "blocks of one row", "block smaller than a row"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(log_partition, "BLOCK", request.param)
    return request.param


@pytest.mark.parametrize("corrected", [True, False])
def test_sampled_softmax_and_its_gradients(corrected: bool, block: int) -> None:
    masked = [(0, 1), (2, 0), (2, 4), (5, 3)]
    hits = tuple(torch.tensor(column) for column in zip(*masked, strict=True))
    correction = normal(5, seed=9) if corrected else None
    made, wanted = leaves(normal(6, 3), normal(6, 3, seed=1), normal(5, 3, seed=2)), []
    loss = sampled_softmax(*made, correction, hits)
    wanted = leaves(*(value.detach() for value in made))
    reference = naive_sampled(*wanted, correction, set(masked))
    torch.testing.assert_close(loss, reference)
    (3.0 * loss).backward()
    (3.0 * reference).backward()
    for value, other in zip(made, wanted, strict=True):
        torch.testing.assert_close(value.grad, other.grad)


def test_sampled_softmax_where_every_negative_is_masked(block: int) -> None:
    queries, positives, candidates = leaves(normal(2, 3), normal(2, 3, seed=1), normal(1, 3, seed=2))
    loss = sampled_softmax(queries, positives, candidates, None, (torch.tensor([0, 1]), torch.tensor([0, 0])))
    loss.backward()
    assert loss.item() == 0.0
    for value in (queries, positives, candidates):
        assert (value.grad == 0).all()


def test_sampled_softmax_without_any_pair(block: int) -> None:
    queries, candidates = leaves(normal(0, 3), normal(4, 3))
    loss = sampled_softmax(queries, queries, candidates, None, NOTHING)
    loss.backward()
    assert loss.item() == 0.0 and (candidates.grad == 0).all()


def test_sampled_softmax_with_large_scores_is_finite() -> None:
    queries, positives, candidates = leaves(*(1e4 * normal(4, 3, seed=seed).float() for seed in range(3)))
    loss = sampled_softmax(queries, positives, candidates, None, NOTHING)
    loss.backward()
    assert all(torch.isfinite(value.grad).all() for value in (queries, positives, candidates))
    assert torch.isfinite(loss)


def test_full_softmax_is_cross_entropy_over_all_items(block: int) -> None:
    targets = torch.tensor([3, 0, 3, 8, 5])
    queries, items = leaves(normal(5, 4), normal(9, 4, seed=1))
    others = leaves(queries.detach(), items.detach())
    loss = full_softmax(queries, items, targets)
    reference = functional.cross_entropy(others[0] @ others[1].T, targets)
    torch.testing.assert_close(loss, reference)
    loss.backward()
    reference.backward()
    torch.testing.assert_close(queries.grad, others[0].grad)
    torch.testing.assert_close(items.grad, others[1].grad)


def test_corrected_negatives_estimate_the_full_partition() -> None:
    """E[sum_j exp(s_j) / (S Q_j)] is the sum over all items: the point of the logQ correction."""
    items = 40
    scores = normal(items + 1, seed=3).numpy()
    sampler = negatives.Uniform(items, 10)
    rng = np.random.default_rng(0)
    draws = [sampler.draw(rng) for _ in range(4000)]
    sums = [np.exp(scores[drawn.items] + drawn.correction).sum() for drawn in draws]
    error = np.std(sums) / math.sqrt(len(sums))
    assert abs(np.mean(sums) - np.exp(scores[1:]).sum()) < 4 * error


def test_sampled_with_all_items_equals_full() -> None:
    """With every item drawn once, uniform negatives give the full softmax."""
    targets = np.array([3, 1, 9, 3])
    drawn = negatives.Uniform(9, 100).draw(np.random.default_rng(0))
    assert drawn.items.tolist() == list(range(1, 10)) and not drawn.correction.any()
    hits = tuple(torch.from_numpy(part) for part in negatives.accidental(drawn.items, targets))
    queries, items = normal(4, 5), normal(9, 5, seed=1)
    sampled = sampled_softmax(queries, items[targets - 1], items, torch.from_numpy(drawn.correction).double(), hits)
    torch.testing.assert_close(sampled, full_softmax(queries, items, torch.from_numpy(targets - 1)))


def test_hard_readout_takes_the_best_interest_without_gradient_of_the_choice() -> None:
    interests, targets = leaves(normal(6, 4, 3), normal(6, 3, seed=1))
    mask = torch.tensor([[True] * 4] * 5 + [[True, False, False, False]])
    chosen = hard_readout(interests, targets, mask)
    for row in range(6):
        scores = [(interests[row, k] @ targets[row]).item() if mask[row, k] else -math.inf for k in range(4)]
        assert torch.equal(chosen[row], interests[row, int(np.argmax(scores))])
    chosen.sum().backward()
    assert targets.grad is None and (interests.grad.sum(dim=(1, 2)) == 3).all()
    torch.testing.assert_close(hard_readout(interests, targets)[:5], chosen[:5])


def test_the_match_has_the_largest_sum_of_cosines() -> None:
    behavioural = functional.normalize(normal(5, 4, 6), dim=-1)
    semantic = functional.normalize(normal(5, 3, 6, seed=1), dim=-1)
    counts = [3, 1, 2, 3, 0]
    mask = torch.arange(3) < torch.tensor(counts)[:, None]
    users, rows, columns = match(behavioural, semantic, mask)
    for user, count in enumerate(counts):
        mine = users == user
        pairs = list(zip(rows[mine].tolist(), columns[mine].tolist(), strict=True))
        assert sorted(column for _, column in pairs) == list(range(count))
        assert len({row for row, _ in pairs}) == count
        cosines = behavioural[user] @ semantic[user].T
        found = sum(float(cosines[pair]) for pair in pairs)
        best = max(
            sum(float(cosines[row, column]) for column, row in enumerate(chosen))
            for chosen in itertools.permutations(range(4), count)
        )
        assert found == pytest.approx(best)


def naive_alignment(behavioural: Tensor, semantic: Tensor, mask: Tensor, texts: Tensor, temperature: float) -> Tensor:
    v, s = functional.normalize(behavioural, dim=-1), functional.normalize(semantic, dim=-1)
    pairs = list(zip(*(part.tolist() for part in match(v, s, mask)), strict=True))
    total = v.new_zeros(())
    for user, row, column in pairs:
        own = torch.exp(v[user, row] @ s[user, column] / temperature)
        forth, back = own, own
        for other, other_row, other_column in pairs:
            if other != user and texts[other, other_column] != texts[user, column]:
                forth = forth + torch.exp(v[user, row] @ s[other, other_column] / temperature)
                back = back + torch.exp(v[other, other_row] @ s[user, column] / temperature)
        total = total - torch.log(own / forth) - torch.log(own / back)
    return total / (2 * len(pairs))


def test_modality_alignment_and_its_gradients() -> None:
    mask = torch.arange(3) < torch.tensor([3, 1, 2, 2])[:, None]
    texts = torch.tensor([[0, 1, 2], [1, -1, -1], [3, 4, -1], [0, 5, -1]])
    made = leaves(normal(4, 4, 6), normal(4, 3, 6, seed=1))
    others = leaves(*(value.detach() for value in made))
    loss = modality_alignment(*made, mask, texts, temperature=0.2)
    reference = naive_alignment(*others, mask, texts, 0.2)
    torch.testing.assert_close(loss, reference)
    loss.backward()
    reference.backward()
    for value, other in zip(made, others, strict=True):
        torch.testing.assert_close(value.grad, other.grad)


@pytest.mark.parametrize("texts", [[[0, 1], [0, 0]], [[0, 1], [-1, -1]]], ids=["same text", "one user with texts"])
def test_alignment_without_anyone_to_contrast_with_is_zero(texts: list[list[int]]) -> None:
    semantic = torch.tensor(texts)
    mask = semantic >= 0
    if texts[1][0] == 0:
        mask = torch.tensor([[True, False], [True, False]])
    made = leaves(normal(2, 2, 4), normal(2, 2, 4, seed=1))
    loss = modality_alignment(*made, mask, semantic, temperature=0.1)
    loss.backward()
    assert loss.item() == 0.0 and all((value.grad == 0).all() for value in made)


def test_alignment_brings_matched_pairs_together_and_keeps_heads_apart() -> None:
    behavioural, semantic = leaves(normal(6, 3, 8).float(), normal(6, 3, 8, seed=1).float())
    mask, texts = torch.ones(6, 3, dtype=torch.bool), torch.arange(18).reshape(6, 3)
    optimiser = torch.optim.Adam([behavioural], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        modality_alignment(behavioural, semantic.detach(), mask, texts, temperature=0.1).backward()
        optimiser.step()
    v, s = functional.normalize(behavioural, dim=-1), functional.normalize(semantic, dim=-1)
    users, rows, columns = match(v, s, mask)
    assert float((v[users, rows] * s[users, columns]).sum(dim=1).min()) > 0.5
    pairs = v @ v.transpose(1, 2)
    assert float((pairs.sum() - 18) / 36) < 0.9, "the interests of a user have become one"


# -- hard negatives and weights of pairs


@pytest.mark.parametrize("hardness", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("corrected", [True, False])
def test_hard_negatives_and_their_gradients(hardness: float, corrected: bool, block: int) -> None:
    masked = [(0, 1), (2, 0), (2, 4), (5, 3)]
    hits = tuple(torch.tensor(column) for column in zip(*masked, strict=True))
    correction = normal(5, seed=9) if corrected else None
    made = leaves(normal(6, 3), normal(6, 3, seed=1), normal(5, 3, seed=2))
    others = leaves(*(value.detach() for value in made))
    loss = sampled_softmax(*made, correction, hits, hardness=hardness)
    queries, positives, candidates = others
    counted = torch.ones(6, 5, dtype=torch.bool)
    counted[hits] = False
    scores = queries @ candidates.T
    mass = (torch.zeros(5).double() if correction is None else correction).exp() * counted
    factor = torch.exp(hardness * scores)
    mean = (mass * factor).sum(dim=1, keepdim=True) / mass.sum(dim=1, keepdim=True)
    partition_sum = (mass * torch.exp(scores) * factor / mean).sum(dim=1)
    wanted = (queries * positives).sum(dim=1).exp()
    reference = -(wanted / (wanted + partition_sum)).log().mean()
    torch.testing.assert_close(loss, reference)
    loss.backward()
    reference.backward()
    for value, other in zip(made, others, strict=True):
        torch.testing.assert_close(value.grad, other.grad)


def test_hard_negatives_count_more_the_nearer_they_are() -> None:
    queries, positives = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    candidates = torch.tensor([[0.9, 0.0], [0.1, 0.0], [-0.9, 0.0]])
    plain, hard = leaves(candidates, candidates)
    sampled_softmax(queries, positives, plain, None, NOTHING).backward()
    sampled_softmax(queries, positives, hard, None, NOTHING, hardness=2.0).backward()
    share_plain, share_hard = (value.grad[:, 0] / value.grad[:, 0].sum() for value in (plain, hard))
    assert share_hard[0] > share_plain[0] and share_hard[2] < share_plain[2]


def test_weights_of_pairs() -> None:
    weights = torch.tensor([0.5, 0.25, 0.25, 0.0]).double()
    queries, items, targets = normal(4, 3), normal(6, 3, seed=1), torch.tensor([1, 2, 0, 5])
    each = functional.cross_entropy(queries @ items.T, targets, reduction="none")
    torch.testing.assert_close(full_softmax(queries, items, targets, weights=weights), (each * weights).sum())
