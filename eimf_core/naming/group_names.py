"""Names of groups of items without a language model: the labels that training had, or words of titles.

A group takes the name of the nearest of the semantic interests that the model was trained with, where one is near
enough, else the words that tell the titles of its items from those of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eimf_core.naming import item_groups
from eimf_core.naming.distinctive_terms import TermIndex
from eimf_core.naming.item_groups import GroupName, ItemGroups
from eimf_core.naming.terms import item_terms
from eimf_core.numeric.arrays import AnyFloats, Floats
from eimf_core.numeric.vectors import unit_rows
from eimf_core.records import Item, SemanticInterest

LARGEST_SAMPLE = 20_000
"""Items of the catalogue whose words are read, evenly taken."""
WORDS = 3
MIN_ITEMS = 3
"""Items of a group that must carry a word, in a smaller group all."""
MIN_COSINE = 0.4
"""Of a label and the centre of the group that it names."""


def named_groups(
    items: int, item: Callable[[int], Item], vectors: Floats, scale: Floats | None,
    interests: Sequence[SemanticInterest], interest_vectors: Floats, text: AnyFloats | None = None,
) -> ItemGroups:  # fmt: skip
    """The groups of a catalogue with their names.

    Args:
        items: number of items.
        item: gives the item of an index from 1.
        vectors, scale: (N + 1, d) and (N + 1,) with N at least `items`.
        interests: what the model was trained with, of the vectors `interest_vectors` (n, d).
        interest_vectors: float32 (n, d), in the space of the items.
        text: text vectors of the items, if there are any (see `item_groups.group`).

    Returns:
        The groups, each with its name and who says so, where any is known.
    """
    groups = item_groups.group(items, vectors, scale, text)
    by_labels = labels(groups, interests, interest_vectors)
    if all(name is not None for name in by_labels):
        return groups.named([GroupName(name=name, by="labels") for name in by_labels])
    by_words = words(groups, item)
    return groups.named(
        [
            GroupName(name=name or other, by="labels" if name is not None else "words")
            for name, other in zip(by_labels, by_words, strict=True)
        ]
    )


def labels(groups: ItemGroups, interests: Sequence[SemanticInterest], vectors: Floats) -> list[str | None]:
    """The names that interests give to groups.

    Args:
        groups: G groups of items.
        interests: n named interests.
        vectors: float32 (n, d), of the interests.

    Returns:
        For each of the G groups the name of the nearest interest, None where none is near enough.
    """
    if not interests:
        return [None] * len(groups)
    cosines = groups.centres @ unit_rows(vectors).T
    best = cosines.argmax(axis=1).tolist()
    return [
        interests[at].name if cosine >= MIN_COSINE else None
        for at, cosine in zip(best, cosines.max(axis=1).tolist(), strict=True)
    ]


def words(groups: ItemGroups, item: Callable[[int], Item]) -> list[str | None]:
    """For each group the most distinctive words and categories of its items, None where they share none."""
    items = len(groups.of) - 1
    sample = np.unique(np.linspace(1, items, min(items, LARGEST_SAMPLE)).astype(np.int64))
    catalogue = TermIndex([item_terms(item(int(index))) for index in sample])
    order = np.argsort(groups.of[sample], kind="stable")
    numbers = groups.of[sample][order]
    found: list[str | None] = []
    for at in range(len(groups)):
        members = order[np.searchsorted(numbers, at) : np.searchsorted(numbers, at, side="right")]
        chosen = catalogue.distinctive(members, most=WORDS, least_items=MIN_ITEMS) if len(members) else []
        found.append(", ".join(chosen) or None)
    return found
