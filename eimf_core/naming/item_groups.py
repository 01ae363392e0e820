"""Groups of items that lie near to each other, and what they are called.

An interest is named by what it recommends: each item belongs to a group, and a group has a name. Groups are k-means
clusters of the item vectors and texts, made when a model is written; `group_names` names them. What a group is called
stays with its items when the vectors change (`transferred`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from eimf_core.numeric import kmeans
from eimf_core.numeric.arrays import AnyFloats, Floats, ShortInts
from eimf_core.numeric.vectors import unit_rows
from eimf_core.records import Label, Record

NamedBy = Literal["answer", "labels", "words"]

PART = "item_groups.safetensors"
"""The file of a model directory."""
MAX_GROUPS = 256
"""Groups of a catalogue at most: one question each to a language model."""
EACH = 14
"""Items of a group in a catalogue of hundreds to thousands: with fewer groups more items lie far from the name of
theirs (of Amazon Industrial's recommended items 15 % below a cosine of .4 with 119 groups, 5 % with 252)."""
FITTED = 20_000
"""Items that shape the centres, evenly taken; all are assigned."""
BLOCK = 1 << 16


class GroupName(Record, frozen=True, kw_only=True):
    """What a group is called, None where nothing is known, and who says so.

    `answer` is the label that a language model gave for the titles in the middle of the group, or its error.
    """

    name: str | None = None
    by: NamedBy = "words"
    answer: Label | None = None


@dataclass(frozen=True)
class ItemGroups:
    """Groups G of N items.

    Attributes:
        of: int32 (N + 1,), the group of each item; -1 for the row before the first.
        near: float32 (N + 1,), the cosine of each item and the centre of its group.
        centres: float32 (G, d), of length 1.
        names: one for each group.
    """

    of: ShortInts
    near: Floats
    centres: Floats
    names: list[GroupName]

    def __len__(self) -> int:
        return len(self.centres)

    def members(self, group: int) -> npt.NDArray[np.int64]:
        """The items of a group.

        Args:
            group: its number, from 0.

        Returns:
            int64 (n,), item indices, the nearest to its centre first.
        """
        found = np.flatnonzero(self.of == group)
        return found[np.argsort(-self.near[found], kind="stable")]

    def named(self, names: list[GroupName]) -> ItemGroups:
        """The same groups under other names."""
        return replace(self, names=names)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The groups as arrays for a file.

        Returns:
            By name: "of" int32 (N + 1,), "near" float32 (N + 1,), "centres" float32 (G, d), and "names" uint8, their
            JSON.
        """
        names = np.frombuffer(msgspec.json.encode(self.names), dtype=np.uint8)
        return {"of": self.of, "near": self.near, "centres": self.centres, "names": names}

    @staticmethod
    def from_arrays(arrays: dict[str, npt.NDArray[Any]], items: int, width: int) -> ItemGroups:
        """Groups from the arrays of a file.

        Args:
            arrays: as `ItemGroups.arrays` gives them.
            items: N, how many items the model has.
            width: d, of its vectors.

        Returns:
            The groups.

        Raises:
            ValueError: the arrays hold no such groups.
        """
        of, near, centres = (arrays.get(key, np.zeros(0)) for key in ("of", "near", "centres"))
        names = msgspec.json.decode(arrays.get("names", np.zeros(0, np.uint8)).tobytes(), type=list[GroupName])
        fits = (
            centres.shape == (len(names), width)
            and of.shape == near.shape == (items + 1,)
            and centres.dtype == near.dtype == np.float32
            and of.dtype == np.int32
            and of.min() >= -1
            and of.max() < len(names)
        )
        if not fits:
            raise ValueError("not such groups")
        return ItemGroups(of, near, centres, names)


def number(items: int) -> int:
    """How many groups a catalogue has: one for each EACH items, in a small one more, at most MAX_GROUPS."""
    return min(MAX_GROUPS, max(1, items // EACH, int(2 * items**0.5)))


def group(items: int, vectors: Floats, scale: Floats | None, text: AnyFloats | None = None) -> ItemGroups:
    """Groups of a catalogue, without names; the same for the same vectors.

    Item vectors say what goes together, texts what is alike: with both, 63 % of the names made of words are right on
    the bundled shop, by item vectors alone 53 %.

    Args:
        items: number of items.
        vectors, scale: (N + 1, d) and (N + 1,) with N at least `items`.
        text: (N + 1, D), text vectors of the items, zeros where there is no text; None for item vectors alone.

    Returns:
        The groups; none where a vector is not finite.
    """
    sample = np.unique(np.linspace(1, items, min(items, FITTED)).astype(np.int64))
    mean = None if text is None else np.asarray(text[sample], np.float32).mean(axis=0)

    def points(rows: Any) -> Floats:
        own = unit_vectors(vectors, scale, rows)
        if text is None or mean is None:
            return own
        words = np.asarray(text[rows], np.float32)
        words = np.where(words.any(axis=1, keepdims=True), words - mean, 0)
        return unit_rows(np.concatenate([own, unit_rows(words)], axis=1))

    fitted = points(sample)
    if not np.isfinite(fitted).all():
        nothing = np.zeros((0, vectors.shape[1]), np.float32)
        return ItemGroups(*nearest(vectors[: items + 1], scale, nothing), nothing, [])
    with kmeans.one_thread():
        centres = kmeans.fit(fitted, number(items), np.random.default_rng(0), starts=1)
    of = np.full(items + 1, -1, dtype=np.int32)
    for start in range(1, items + 1, BLOCK):
        rows = slice(start, min(items + 1, start + BLOCK))
        of[rows] = (points(rows) @ centres.T).argmax(axis=1)
    kept, of[1:] = np.unique(of[1:], return_inverse=True)
    return _around_members(of, vectors[: items + 1], scale, [GroupName()] * len(kept))


def _around_members(of: ShortInts, vectors: Floats, scale: Floats | None, names: list[GroupName]) -> ItemGroups:
    """Groups whose centres are the means of their items; of (N + 1,), -1 for items that join the nearest."""
    known = of >= 0
    sums = np.zeros((len(names), vectors.shape[1]), np.float32)
    for start in range(1, len(of), BLOCK):
        rows = np.flatnonzero(known[start : start + BLOCK]) + start
        np.add.at(sums, of[rows], unit_vectors(vectors, scale, rows))
    centres = unit_rows(sums)
    joined, near = nearest(vectors, scale, centres)
    made = np.where(known, of, joined).astype(np.int32)
    for start in range(1, len(of), BLOCK):
        rows = np.flatnonzero(known[start : start + BLOCK]) + start
        near[rows] = np.einsum("nd,nd->n", unit_vectors(vectors, scale, rows), centres[made[rows]])
    return ItemGroups(made, near, centres, names)


def unit_vectors(vectors: Floats, scale: Floats | None, rows: Any) -> Floats:
    """Vectors of some items in length 1; one that is infinite, or times its scale, is none."""
    taken = np.asarray(vectors[rows], np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        return unit_rows(taken if scale is None else taken * np.asarray(scale[rows], np.float32)[:, None])


def nearest(vectors: Floats, scale: Floats | None, centres: Floats) -> tuple[ShortInts, Floats]:
    """The nearest centre of each item.

    Args:
        vectors: float32 (N + 1, d), of items; row 0 is none.
        scale: float32 (N + 1,), lengths that the vectors are multiplied by, if there are any.
        centres: float32 (G, d), unit vectors.

    Returns:
        int32 (N + 1,), the centre, and float32 (N + 1,), its cosine; -1 and 0 for row 0.
    """
    of = np.full(len(vectors), -1, dtype=np.int32)
    near = np.zeros(len(vectors), dtype=np.float32)
    for start in range(1, len(vectors) if len(centres) else 0, BLOCK):
        rows = slice(start, start + BLOCK)
        cosines = unit_vectors(vectors, scale, rows) @ centres.T
        of[rows] = cosines.argmax(axis=1)
        near[rows] = cosines.max(axis=1)
    return of, near


def transferred(
    earlier: ItemGroups, places: npt.NDArray[np.integer[Any]], vectors: Floats, scale: Floats | None
) -> ItemGroups | None:
    """The named groups of an earlier model for the items and vectors of today.

    Args:
        earlier: groups of n items.
        places: (n,), the item index today of each item then, 0 where it is gone.
        vectors, scale: (N + 1, d) and (N + 1,) of today.

    Returns:
        Groups of the items that they had, and of new ones that are nearest to these; None where fewer than half of
        today's items were there, or a vector is not finite.
    """
    of = np.full(len(vectors), -1, dtype=np.int32)
    of[places] = earlier.of[1:]
    of[0] = -1
    known = np.flatnonzero(of >= 0)
    if 2 * len(known) < len(vectors) - 1 or not np.isfinite(vectors).all():
        return None
    kept, of[known] = np.unique(of[known], return_inverse=True)
    return _around_members(of, vectors, scale, [earlier.names[at] for at in kept.tolist()])
