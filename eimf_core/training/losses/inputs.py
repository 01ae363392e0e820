"""What losses read of a step: tensors, and groups of items by their rows among the item vectors of the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor


@dataclass(frozen=True)
class ItemGroup:
    """Items of a step that play one part, such as targets or negatives.

    Attributes:
        items: int64 item indices, of any shape, 0 for padding.
        rows: int64 of the same shape, where their vectors stand among those of the step.
    """

    items: npt.NDArray[np.int64]
    rows: Tensor

    def __getitem__(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> ItemGroup:
        return ItemGroup(self.items[chosen], self.rows[chosen])


@dataclass(frozen=True)
class RankingInputs:
    """What a loss that ranks the next item reads: P pairs of a user's interest and the item that came next.

    Attributes:
        queries: (P, d), the interest that answers for each item; or (P, K, d) where all interests of a user answer
            together, with equal weights and no hardness. Divided by the temperature already.
        positives: (P, d), the vectors of the next items.
        candidates: (C, d), those of the sampled negatives, or of the whole catalogue.
        matches: int64 rows (rising) and columns where a candidate is the next item of the pair.
        correction: log(N / C) of C negatives drawn uniformly from N items, (C,); None for the whole catalogue.
        weights: of the pairs, (P,), their sum 1; None for equal ones.
        hardness: how much more negatives count that are near the query, see `sampled_softmax.py`.
    """

    queries: Tensor
    positives: Tensor
    candidates: Tensor
    matches: tuple[Tensor, Tensor]
    correction: Tensor | None
    weights: Tensor | None
    hardness: float


@dataclass(frozen=True)
class LabelInputs:
    """What the label losses of a step read: B labelled users of M interests at most, P pairs of a text and an item.

    Attributes:
        vectors: (R, d), item vectors of the step.
        unit: (R, d), the same in unit length, as scores see them.
        targets: (B,), one item of each user's history.
        texts: int64 (B, M), equal where the words are equal, negative where there is no interest.
        words: (B, M, d), semantic interests: what the adapter makes of the texts.
        word_items: (P,), items, each with the words of a label beside it.
        word_texts: int64 (P,), the texts of these words.
        embed: from texts (P,) to semantic interests (P, d).
        behavioural: gives the interests (B, K, d) that the backbone reads from the users' histories.
        next_item: the loss of queries (B, d) whose next items are a group (B,).
        temperature: divides cosines in contrastive losses.
    """

    vectors: Tensor
    unit: Tensor
    targets: ItemGroup
    texts: Tensor
    words: Tensor
    word_items: ItemGroup
    word_texts: Tensor
    embed: Callable[[Tensor], Tensor]
    behavioural: Callable[[], Tensor]
    next_item: Callable[[Tensor, ItemGroup], Tensor]
    temperature: float

    @property
    def exists(self) -> Tensor:
        """bool (B, M), which semantic interests there are."""
        return self.texts >= 0
