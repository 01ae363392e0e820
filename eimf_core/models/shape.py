"""What a network is built for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes that every backbone knows.

    Args:
        dimension: width d of item vectors and interests.
        interests: K, interests a user; 1 for a backbone with a single interest.
        max_length: L, the items of the longest history.
        dropout: share of the values that training drops out.
        features: how many item features (categories) there are, 0 for none.
        events: how many kinds of behaviour there are, 0 for none.
    """

    dimension: int
    interests: int
    max_length: int
    dropout: float = 0.0
    features: int = 0
    events: int = 0
