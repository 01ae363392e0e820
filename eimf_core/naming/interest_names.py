"""Names for interests: what the groups of items are called that an interest brings, or lies nearest to.

Every item belongs to a group (`item_groups`). What is recommended takes the name of its group; the similarity is the
cosine of the item and the centre of the group. What brings items of several groups as a whole takes the name of most,
words take that of the nearest centre. A name below the threshold is withheld. Groups of one name are one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from eimf_core.errors import ModelError
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.naming import group_names, item_groups
from eimf_core.naming.item_groups import ItemGroups
from eimf_core.numeric.arrays import Floats
from eimf_core.numeric.vectors import unit_rows

ScoredName = tuple[str | None, float | None]
DIGITS = 4
"""Decimal places of a cosine."""


class Namer:
    """Names by groups of items.

    Attributes:
        names: the distinct names.
        name_of: int32 (N + 1,), the number of each item's name, -1 where it has none or lies too far from its group.
        near: float32 (N + 1,), the cosine of each item and its name.
        group_of: int32 (N + 1,), the number of its group, -1 without one.
        likeness: float32 (G + 1, G + 1), cosines of the centres of groups, 0 where negative and for no group, -1.
    """

    def __init__(self, groups: ItemGroups, threshold: float) -> None:
        numbers: dict[str, int] = {}
        self.names: list[str] = []
        of_group = np.full(len(groups) + 1, -1, dtype=np.int32)
        for at, group in enumerate(groups.names):
            if group.name is not None:
                of_group[at] = numbers.setdefault(group.name.casefold(), len(numbers))
                if of_group[at] == len(self.names):
                    self.names.append(group.name)
        self.group_of, self.near = groups.of, groups.near
        self.name_of = np.where(groups.near >= threshold, of_group[groups.of], np.int32(-1))
        self.likeness = np.zeros((len(groups) + 1, len(groups) + 1), np.float32)
        self.likeness[:-1, :-1] = np.maximum(groups.centres @ groups.centres.T, 0)
        self._of_group, self._centres, self._threshold = of_group, groups.centres, threshold

    def of_items(self, items: Sequence[int]) -> ScoredName:
        """The name that most of some items have, of equals that of the first, and their mean cosine."""
        found = self.name_of[items]
        counts = Counter(found[found >= 0].tolist())
        if not counts:
            return None, round(float(self.near[items].mean()), DIGITS) if len(items) else None
        best = counts.most_common(1)[0][0]
        return self.names[best], round(float(self.near[items][found == best].mean()), DIGITS)

    def of_vectors(self, vectors: Floats) -> list[ScoredName]:
        """Names of vectors by the nearest group.

        Args:
            vectors: float32 (n, d), in the space of the items.

        Returns:
            n pairs of a name and the cosine of vector and centre: no name below the threshold, and neither where there
            is no group at all.
        """
        if not len(self._centres):
            return [(None, None)] * len(vectors)
        cosines = unit_rows(vectors) @ self._centres.T
        chosen = self._of_group[cosines.argmax(axis=1)].tolist()
        values = np.round(cosines.max(axis=1).astype(np.float64), DIGITS).tolist()
        return [
            (self.names[at] if at >= 0 and value >= self._threshold else None, value)
            for at, value in zip(chosen, values, strict=True)
        ]


def open_namer(model: OpenedModel, threshold: float) -> Namer:
    """What names the interests of a model."""
    return Namer(with_new_items(groups_of(model), model), threshold)


def groups_of(model: OpenedModel) -> ItemGroups:
    """The named groups that a model brings, else worked out now, which takes a moment.

    Raises ModelError where the file is damaged.
    """
    if model.item_groups is None:
        return group_names.named_groups(
            len(model.catalogue), model.catalogue.item, model.vectors, model.scale, model.named, model.named_vectors
        )
    try:
        return ItemGroups.from_arrays(model.item_groups, len(model.catalogue), model.config.dimension)
    except ValueError:
        raise ModelError(f"{model.name}: {item_groups.PART} holds no groups of its items; train it again") from None


def with_new_items(groups: ItemGroups, model: OpenedModel) -> ItemGroups:
    """Groups with the items that came after training and stand behind the catalogue, each in the nearest group."""
    size = len(groups.of)
    if len(model.vectors) == size:
        return groups
    new = slice(size - 1, None)
    scale = None if model.scale is None else model.scale[new]
    of, near = item_groups.nearest(model.vectors[new], scale, groups.centres)
    return ItemGroups(
        np.concatenate([groups.of, of[1:]]), np.concatenate([groups.near, near[1:]]), groups.centres, groups.names
    )
