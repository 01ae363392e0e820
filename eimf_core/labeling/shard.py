"""One part of the samples of a run, for job arrays: parts are drawn by the hash of each key, whatever their order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from eimf_core.config import setting_error
from eimf_core.labeling.history_text import CleanSample

WHOLE = (1, 1)


def parse(text: str | None) -> tuple[int, int]:
    """Part and number of parts of "3/8"; ConfigError for anything else."""
    if text is None:
        return WHOLE
    part, _, parts = text.partition("/")
    # int() takes long for many digits
    if all(n.isascii() and n.isdigit() and len(n) < 10 for n in (part, parts)) and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise setting_error("shard", f"is '{text}', expected a part and their number, from 1/8 to 8/8")


def select(samples: Sequence[CleanSample], shard: tuple[int, int]) -> list[CleanSample]:
    """The samples of one part; those of all parts are each sample once."""
    part, parts = shard
    return [sample for sample in samples if _hash(sample.sample.key) % parts == part - 1]


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
