"""A graph of items whose texts are alike, in the form of that of next items.

    T[i, x] = max(0, cos(t_i - mean t, t_x - mean t))

t are the text vectors of the items. Only the largest values of a row are kept (`next_items.most_neighbours`). Up to
EXACT items all pairs are compared; in a larger catalogue an item is compared, by WIDTH principal components, with those
of the LISTS lists nearest to its own, lists as in an inverted file (Jégou et al., Product Quantization for Nearest
Neighbor Search, PAMI 33(1), 2011, section IV).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from eimf_core.model_directory.next_items import most_neighbours
from eimf_core.numeric import kmeans
from eimf_core.numeric.arrays import AnyFloats, Arrays, Floats, Ints
from eimf_core.numeric.vectors import unit_rows
from eimf_core.training.item_embeddings import CHUNK, principal_components

EXACT = 20_000
WIDTH = 64
LISTS = 8
LIST_SIZE = 500
"""Items of a list, on average."""
PAIRS_AT_ONCE = 1 << 24
SAMPLE = 200_000
"""Items that the lists are made from, at most."""


def count(text: AnyFloats, rng: np.random.Generator) -> Arrays:
    """The graph of items of like texts.

    Args:
        text: text vectors (N + 1, D), rows of zeros for items without a text.
        rng: seeds the lists of a large catalogue.

    Returns:
        The arrays of `next_items.NextItems`.
    """
    known, unit = _directions(text)
    most = most_neighbours(len(known))
    rows, columns, values = [], [], []
    for own, others in _compared(unit, rng):
        size = max(1, PAIRS_AT_ONCE // max(1, len(others)))
        for start in range(0, len(own), size):
            part = own[start : start + size]
            found, cosines = _nearest(unit, part, others, most)
            kept = cosines > 0
            rows.append(np.repeat(known[part], kept.sum(axis=1)))
            columns.append(known[found[kept]].astype(np.int32))
            values.append(cosines[kept])
    return _arrays(rows, columns, values, len(text))


def count_if_known(text: AnyFloats | None, seed: int) -> Arrays | None:
    """The graph of items of like texts, if there is one.

    Args:
        text: text vectors (N + 1, D), or None.
        seed: of the lists of a large catalogue.

    Returns:
        As `count`; None where there are no texts, or no two are alike.
    """
    if text is None:
        return None
    made = count(text, np.random.default_rng(seed))
    return made if len(made["items"]) else None


def _directions(text: AnyFloats) -> tuple[Ints, Floats]:
    """The rows that have a text, (n,), and their centred vectors in unit length, (n, D), of a large catalogue (n,
    WIDTH)."""
    parts = [slice(start, start + CHUNK) for start in range(0, len(text), CHUNK)]
    known = np.flatnonzero(np.concatenate([text[part].any(axis=1) for part in parts]))
    if len(known) <= EXACT:
        vectors = np.asarray(text[known], dtype=np.float32)
        return known, unit_rows(vectors - vectors.mean(axis=0) if len(vectors) else vectors)
    mean, components = principal_components(text, min(WIDTH, text.shape[1]))
    unit = np.empty((len(known), len(components)), dtype=np.float32)
    for start in range(0, len(known), CHUNK):
        unit[start : start + CHUNK] = unit_rows((text[known[start : start + CHUNK]] - mean) @ components.T)
    return known, unit


def _compared(unit: Floats, rng: np.random.Generator) -> Iterator[tuple[Ints, Ints]]:
    """Items, and those that they are compared with."""
    everything = np.arange(len(unit))
    if len(unit) <= EXACT:
        yield everything, everything
        return
    sample = unit if len(unit) <= SAMPLE else unit[np.sort(rng.choice(len(unit), SAMPLE, replace=False))]
    with kmeans.one_thread():
        middles = kmeans.fit(sample, max(1, len(unit) // LIST_SIZE), rng, starts=1)
    own = np.concatenate([(unit[at : at + CHUNK] @ middles.T).argmax(axis=1) for at in range(0, len(unit), CHUNK)])
    lists = np.split(np.argsort(own, kind="stable"), np.cumsum(np.bincount(own, minlength=len(middles)))[:-1])
    likeness = middles @ middles.T
    for at, members in enumerate(lists):
        near = np.argsort(-likeness[at], kind="stable")[:LISTS]
        yield members, np.sort(np.concatenate([lists[number] for number in near]))


def _nearest(unit: Floats, own: Ints, others: Ints, most: int) -> tuple[Ints, Floats]:
    """The `most` alike of `others` (m,) for each of `own` (n,), itself left out: their numbers and cosines (n, k)."""
    cosines = unit[own] @ unit[others].T
    cosines[others == own[:, None]] = -1.0
    k = min(most, len(others))
    places = np.argpartition(cosines, len(others) - k, axis=1)[:, len(others) - k :]
    places.sort(axis=1)
    return others[places], np.take_along_axis(cosines, places, axis=1)


def _arrays(rows: list[Ints], columns: list[npt.NDArray[np.int32]], values: list[Floats], width: int) -> Arrays:
    row = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
    order = np.argsort(row, kind="stable")
    return {
        "starts": np.concatenate([[0], np.cumsum(np.bincount(row, minlength=width))]),
        "items": np.concatenate([np.zeros(0, dtype=np.int32), *columns])[order],
        "values": np.concatenate([np.zeros(0, dtype=np.float32), *values])[order],
    }
