"""Hyper-parameters of a backbone: what a configuration file may say, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from eimf_core.errors import ConfigError
from eimf_core.models import registry
from eimf_core.training.config import TrainConfig


def test_defaults_and_what_is_given() -> None:
    made = registry.read_hyperparameters("remi", {"hardness": 2, "positions": "absolute"}, 8)
    assert vars(made) == {"hardness": 2.0, "positions": "absolute", "routing_weight": 1.0}
    assert type(made.hardness) is float  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("backbone", "given", "words"),
    [
        ("remi", {"hardnes": 1.0}, "'hardnes' is unknown; remi has positions, hardness, routing_weight"),
        ("gru4rec", {"layers": 2}, "'layers' is unknown; gru4rec has none"),
        ("comirec-sa", {"hardness": 1.0}, "'hardness' is unknown; comirec-sa has positions"),
        ("sasrec", {"positions": "none"}, "'positions' is unknown; sasrec has layers, heads"),
        ("remi", {"hardness": "much"}, "hardness is 'much', expected a number"),
        ("remi", {"hardness": True}, "hardness is True, expected a number"),
        ("sine", {"concepts": 1.5}, "concepts is 1.5, expected a whole number"),
        ("remi", {"hardness": -1.0}, "hardness .* is -1.0, expected 0 or more"),
        ("remi", {"hardness": float("nan")}, "hardness .* is nan"),
        ("sasrec", {"layers": 0}, "layers .* is 0, expected 1 or more"),
        ("mfn", {"positions": "relative"}, "positions .* is 'relative', expected decay, absolute or none"),
        ("mfn", {"positions": 3}, "positions .* is '3', expected decay, absolute or none"),
        ("sasrec", {"heads": 3}, "heads .* is 3, which does not divide --dimension 8"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_settings(backbone: str, given: dict[str, Any], words: str) -> None:
    """Before any data is read, in one line."""
    with pytest.raises(ConfigError, match=words) as caught:
        TrainConfig(backbone=backbone, dimension=8, hyperparameters=given)
    assert "\n" not in str(caught.value) and "--config" in str(caught.value)
