"""What a text encoder is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter

BATCH = 32


class TextEncoder(Protocol):
    """Anything that turns texts into unit vectors.

    `name` is for people; `identity` tells encoders with different results apart (name and hash of
    the files); `dimension` is D.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Floats:
        """Encode texts.

        Args:
            texts: n texts.
            reporter: hears of progress.

        Returns:
            float32 (n, D), unit vectors.
        """


def encode_distinct(
    encoder: TextEncoder,
    texts: Sequence[str],
    order: Sequence[str],
    encode_batch: Callable[[Sequence[str]], Floats],
    reporter: Reporter,
) -> Floats:
    """What `TextEncoder.encode` returns, each distinct text encoded once and BATCH of them at a time.

    Args:
        encoder: whose dimension and name are read.
        texts: n texts.
        order: the distinct ones among them, texts of like length together.
        encode_batch: gives the unit vectors of a part of `order`.
        reporter: hears of progress.

    Returns:
        float32 (n, D), in the order of `texts`.
    """
    vectors = np.zeros((len(order), encoder.dimension), dtype=np.float32)
    reporter.begin(f"encoding text with {encoder.name}", len(order))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        vectors[start : start + len(batch)] = encode_batch(batch)
        reporter.advance(len(batch))
    reporter.end()
    row = {text: at for at, text in enumerate(order)}
    ordered: Floats = vectors[[row[text] for text in texts]]
    return ordered
