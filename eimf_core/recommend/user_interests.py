"""What the network, or words, give for queries: vectors that score items, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eimf_core.arrays import Floats
from eimf_core.naming.interest_names import ScoredName
from eimf_core.recommend import attribution, text_fusion


@dataclass(frozen=True)
class UserInterests:
    """The interests of some queries of one kind.

    Attributes:
        vectors: what gives the scores, (B, K, d).
        attention: over the history, (B, K, L); None for words alone.
        fusions: of words and history, None where a query has only one of these.
        names: a name for each interest as a whole, none where a list is split by name, and behind those of a
            fusion one for the words.
        merged_into: likewise, see `attribution`.
    """

    vectors: Floats
    attention: Floats | None
    fusions: Sequence[text_fusion.Fusion | None]
    names: list[list[ScoredName]]
    merged_into: list[attribution.MergedInto]

    @property
    def words(self) -> int:
        """The number of the words of a query."""
        return self.vectors.shape[1] if self.attention is not None else 0

    @property
    def without_text(self) -> list[attribution.MergedInto]:
        """`merged_into` without the words behind those of a fusion."""
        return [of[: self.vectors.shape[1]] for of in self.merged_into]
