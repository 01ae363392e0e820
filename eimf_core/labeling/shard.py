"""One part of the samples of a run, for job arrays: parts are drawn by the hash of each key, whatever their order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from eimf_core.labeling.history_text import CleanSample


def select(samples: Sequence[CleanSample], shard: tuple[int, int]) -> list[CleanSample]:
    """The samples of one part; those of all parts are each sample once."""
    part, parts = shard
    return [sample for sample in samples if _hash(sample.sample.key) % parts == part - 1]


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
