"""What a text encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from eimf_core.progress import SILENT, Reporter

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
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

    def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Vectors:
        """Unit vectors of the texts, float32 of shape (n, D)."""
