"""What some backbones add to the training loss, each against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.models.desmil import dependence, independent_weights
from eimf_core.models.mfn import disagreement
from eimf_core.models.mind import label_aware
from eimf_core.models.re4 import backward_flow
from eimf_core.models.readout import hard_readout
from eimf_core.models.remi import routing_regularisation
from tests.unit.test_losses import leaves, normal


def test_label_aware_attention_lies_between_the_mean_and_the_best() -> None:
    interests, targets = normal(5, 3, 4), normal(5, 4, seed=1)
    torch.testing.assert_close(label_aware(interests, targets, 0.0), interests.mean(dim=1))
    torch.testing.assert_close(label_aware(interests, targets, 1e4), hard_readout(interests, targets))


def test_routing_regularisation_is_a_mean_over_prefixes() -> None:
    logits = 3.0 * normal(3, 2, 5)
    wanted = torch.arange(5) < torch.tensor([1, 3, 5])[:, None]
    total = 0.0
    for row, place in wanted.nonzero().tolist():
        for head in torch.softmax(logits[row, :, : place + 1], dim=-1):
            total += float(((head - head.mean()) ** 2).sum() ** 2)
    found = routing_regularisation(logits, wanted)
    assert found.item() == pytest.approx(total / 9)
    torch.testing.assert_close(routing_regularisation(logits.repeat(2, 1, 1), wanted.repeat(2, 1)), found)
    # what logits share does not matter, however large, and even attention costs nothing
    torch.testing.assert_close(routing_regularisation(logits + 1e4, wanted), found)
    assert routing_regularisation(torch.ones_like(logits), wanted).item() == pytest.approx(0.0, abs=1e-12)


def test_disagreement_is_the_mean_cosine_of_pairs() -> None:
    interests = normal(4, 3, 5)
    unit = functional.normalize(interests, dim=-1)
    wanted = np.mean([float(unit[u, k] @ unit[u, m]) for u in range(4) for k in range(3) for m in range(k)])
    assert disagreement(interests).item() == pytest.approx(wanted)
    assert disagreement(interests[:, :1]).item() == 0.0


def test_backward_flow_falls_when_interests_know_their_items() -> None:
    states = normal(6, 5, 4).float()
    mask = torch.arange(5) < torch.tensor([5, 3, 1, 4, 5, 2])[:, None]
    logits, rebuilt = leaves(normal(6, 2, 5, seed=1).float(), normal(6, 2, 5, 4, seed=2).float())
    optimiser = torch.optim.Adam([logits, rebuilt], lr=0.05)

    def losses() -> dict[str, Tensor]:
        attention = torch.softmax(logits.masked_fill(~mask[:, None], -1e30), dim=-1)
        return backward_flow(attention @ states, attention, states, rebuilt, mask, temperature=0.1)

    before = {name: value.item() for name, value in losses().items()}
    for _ in range(200):
        optimiser.zero_grad()
        sum(losses().values()).backward()
        assert torch.isfinite(logits.grad).all() and torch.isfinite(rebuilt.grad).all()
        optimiser.step()
    after = {name: value.item() for name, value in losses().items()}
    assert set(after) == {"contrast", "attend", "rebuild"}
    assert after["contrast"] < before["contrast"] and after["attend"] < before["attend"] and after["rebuild"] < 0.1


def test_weights_make_interests_independent() -> None:
    generator = torch.Generator().manual_seed(0)
    frequencies = torch.empty(4, 16).normal_(generator=generator)
    phases = torch.empty(16).uniform_(0, 6.28, generator=generator)
    # half of the pairs have two interests that go together
    interests = normal(400, 2, 4).float()
    interests[:200, 1] = interests[:200, 0]
    weights = independent_weights(interests, frequencies, phases)
    assert weights.mean().item() == pytest.approx(1.0, abs=1e-5) and (weights >= 0).all()
    features = (2 / 16) ** 0.5 * torch.cos(interests @ frequencies + phases)
    even = dependence(features, torch.full((400,), 1 / 400))
    assert dependence(features, weights / 400) < even
    assert weights[:200].mean() < weights[200:].mean()


def test_dependence_is_the_squared_covariance_of_pairs() -> None:
    features, weights = normal(30, 3, 2), torch.softmax(normal(30, seed=1), dim=0)
    wanted = 0.0
    for one, other in ((0, 1), (0, 2), (1, 2)):
        covariance = np.cov(
            torch.cat([features[:, one], features[:, other]], dim=1).numpy().T, aweights=weights.numpy(), ddof=0
        )
        wanted += float((covariance[:2, 2:] ** 2).sum())
    assert dependence(features, weights).item() == pytest.approx(wanted)
