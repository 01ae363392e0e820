"""From interests to a ranked list: scores, masks, merge of interests, stable top-k. No torch.

An item's score is the largest inner product over the interests, times the item's scale where the
model has one (cosine). Ties go to the smaller item index, so that results do not depend on order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.numeric.arrays import Floats, Ints

LARGEST_PRODUCT = 5 << 17
"""Numbers that `best_scores` holds beside its result: 2.5 MiB, which stay in the cache of a core."""
WHOLE = 64
"""Items of a tile are a multiple of this, so that the rows of a product begin where those of the cache do."""
GROUP = 32
"""Columns that share one maximum in `top_k`: only groups whose maximum is high enough are looked into."""
ROUNDING = 1e-6
"""What sums behind those of vectors may differ by, as a share of the score."""
SUMS = 2e-5
"""What a product of two vectors in 32 bits may be off, as a share of both lengths."""
FEW = 32
"""Items of a row up to which those of several rows are scored at once: more take longer so than row by row."""


def best_scores(
    interests: Floats, vectors: Floats, scale: Floats | None = None, parts: Sequence[tuple[int, int]] = ()
) -> Floats:
    """Score all items for each user: the largest product over the interests, times the item's scale.

    Args:
        interests: (B, K, d).
        vectors: (N + 1, d), row 0 for padding.
        scale: (N + 1,), or None.
        parts: width and number of what the interests consist of, side by side, where they are each of one part beside
            each of every other (`model_members.InterestProduct`): the largest sum is the sum of the largest, so that
            each part is multiplied once. Empty where they are no such thing.

    Returns:
        Scores (B, N + 1), column 0 at -inf. A NaN in any interest's product gives NaN. `sources` says which
        interests the scores of a few items come from.
    """
    best = largest_scores(interests, vectors, scale, parts)
    best[:, 0] = -np.inf
    return best


def largest_scores(
    interests: Floats, vectors: Floats, scale: Floats | None = None, parts: Sequence[tuple[int, int]] = ()
) -> Floats:
    """Scores (B, n) of some items as `best_scores` gives them; none of these is padding."""
    found: Floats | None = None
    for own, columns in split(interests, parts):
        products = _largest_products(own, vectors[:, columns])
        if found is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                products += found
        found = products
    assert found is not None
    if scale is not None:
        found *= scale
    return found


def split(interests: Floats, parts: Sequence[tuple[int, int]]) -> list[tuple[Floats, slice]]:
    """Interests part by part, see `best_scores`.

    Args:
        interests: (B, K, d).
        parts: as for `best_scores`.

    Returns:
        For each part m its interests (B, K_m, d_m) and its columns of an item vector.
    """
    found = []
    start, step = 0, interests.shape[1]
    for width, count in parts or [(interests.shape[2], step)]:
        step //= count
        columns = slice(start, start := start + width)
        found.append((interests[:, : count * step : step, columns], columns))
    return found


def scores_of_pairs(
    interests: Floats,
    vectors: Floats,
    rows: Ints,
    items: Ints,
    scale: Floats | None = None,
    parts: Sequence[tuple[int, int]] = (),
) -> Floats:
    """Scores of some items for some users, the same to the last digit whatever else is asked, on any processor.

    A product of matrices adds in an order that depends on how large it is; here each number is a sum of its own.

    Args:
        interests, vectors, scale, parts: as for `best_scores`.
        rows: of interests, rising, (n,).
        items: an item index for each, (n,).

    Returns:
        (n,), in 32 bits.
    """
    by_part = split(interests, parts)
    with np.errstate(invalid="ignore", over="ignore"):
        if len(interests) > 1 and len(items) <= FEW * len(interests):
            found = vectors[items]
            scores = _sums([np.einsum("nkd,nd->nk", own[rows], found[:, columns]) for own, columns in by_part])
        else:
            scores = np.empty(len(items), np.float32)
            ends = np.searchsorted(rows, np.arange(len(interests) + 1)).tolist()
            for row, some in enumerate(itertools.starmap(slice, itertools.pairwise(ends))):
                found = vectors[items[some]]
                products = [np.einsum("kd,nd->nk", own[row], found[:, columns]) for own, columns in by_part]
                scores[some] = _sums(products)
        return scores if scale is None else scores * scale[items]


def _sums(products: Sequence[Floats]) -> Floats:
    """The sums (n,) of the largest products of each part, (n, K_m)."""
    sums: Floats = products[0].max(axis=1)
    for part in products[1:]:
        sums += part.max(axis=1)
    return sums


def _largest_products(interests: Floats, vectors: Floats) -> Floats:
    """The largest product of each item (N + 1, d) over the interests (B, K, d) of each user."""
    users, number, width = interests.shape
    stacked = interests.reshape(users * number, width)
    if len(stacked) == 1:
        # a product with a single row is summed in another order: alone or among others, a score is the same but,
        # on processors without AVX-512, where OpenBLAS rounds by a row's place, for the last digit
        return _largest_products(np.repeat(interests, 2, axis=0), vectors)[:1]
    best = np.empty((users, len(vectors)), dtype=np.float32)
    # one product for all interests, so that the item table is read once; tiles bound the memory
    tile = max(512, LARGEST_PRODUCT // max(1, users * number) // WHOLE * WHOLE)
    held = np.empty(0 if number == 1 else len(stacked) * min(tile, len(vectors)), dtype=np.float32)
    for start in range(0, len(vectors), tile):
        part = vectors[start : start + tile]
        # NaN and infinity are found, and said, when the list is made
        with np.errstate(invalid="ignore", over="ignore"):
            if number == 1:
                np.matmul(stacked, part.T, out=best[:, start : start + tile])
                continue
            flat = held[: len(stacked) * len(part)].reshape(len(stacked), len(part))
            np.matmul(stacked, part.T, out=flat)
        flat.reshape(users, number, len(part)).max(axis=1, out=best[:, start : start + tile])
    return best


def sources(
    interests: Floats, vectors: Floats, items: npt.NDArray[np.integer[Any]], parts: Sequence[tuple[int, int]] = ()
) -> npt.NDArray[np.int8]:
    """The interest that each of a few items gets its score from.

    Args:
        interests: (B, K, d).
        vectors: of the catalogue, (N + 1, d).
        items: indices (B, k).
        parts: as for `best_scores`.

    Returns:
        Interests from 0, (B, k).
    """
    best = np.zeros(items.shape, dtype=np.int64)
    step = interests.shape[1]
    for own, columns in split(interests, parts):
        step //= own.shape[1]
        # not a product of matrices, whose last digit depends on how large it is
        best += step * np.einsum("bnd,bkd->bnk", vectors[:, columns][items], own).argmax(axis=2)
    return best.astype(np.int8)


def drop(scores: Floats, rows: Sequence[npt.NDArray[np.integer[Any]]]) -> None:
    """Take items out of lists: their scores become -inf, in place.

    Args:
        scores: (B, N + 1).
        rows: the item indices of each row, such as its history.
    """
    for row, items in enumerate(rows):
        scores[row, items] = -np.inf


def top_k(scores: Floats, k: int, priority: npt.NDArray[np.integer[Any]] | None = None) -> Ints:
    """The best items of each row; -inf never enters before a score.

    Args:
        scores: (B, N + 1), column 0 is padding.
        k: how many.
        priority: (N + 1,), a permutation: ties go to the smaller priority; None: to the smaller index.

    Returns:
        Item indices (B, k) by falling score; fewer than k columns where the catalogue has fewer items.

    Raises:
        ValueError: a score is NaN or +inf; its row is in `args[1]`.
    """
    width = scores.shape[1]
    k = min(k, width - 1)
    if len(scores) == 0 or k < 1:
        return np.zeros((len(scores), max(0, k)), dtype=np.int64)
    groups = width // GROUP
    if groups <= 2 * k:
        check_finite(scores)
        columns = np.broadcast_to(np.arange(width), scores.shape)
        best, tied = _best_columns(scores, columns, k, priority)
    else:
        # group g holds the columns g, g + groups, g + 2 * groups … : maxima run along contiguous memory
        body = groups * GROUP
        maxima = scores[:, :body].reshape(-1, GROUP, groups).max(axis=1)
        tail = scores[:, body:]
        check_finite(maxima)
        check_finite(tail)
        chosen = _largest(maxima, k)
        border = np.take_along_axis(maxima, chosen, axis=1).min(axis=1, keepdims=True)
        columns = (chosen[:, :, None] + np.arange(GROUP) * groups).reshape(len(scores), -1)
        columns = np.concatenate([columns, np.broadcast_to(np.arange(body, width), tail.shape)], axis=1)
        best, tied = _best_columns(np.take_along_axis(scores, columns, axis=1), columns, k, priority)
        least = np.take_along_axis(scores, best[:, -1:], axis=1)
        tied |= ((maxima >= border).sum(axis=1) > k) & (least[:, 0] <= border[:, 0])
    # a tie at the border, of groups or of items, is settled on the whole row
    for row in np.flatnonzero(tied):
        best[row] = _row_top_k(scores[row], k, priority)
    return best


def near_best(scores: Floats, k: int, off: Floats) -> tuple[Ints, Ints]:
    """What may be among the k best of its row by exact scores.

    Args:
        scores: (B, W); -inf for what is no item. A W that is a multiple of GROUP takes the least time.
        k: how many, at least 1.
        off: how far the scores of each row may be from the exact ones, (B,).

    Returns:
        Rows and columns (n,), rows rising.
    """
    groups = scores.shape[1] // GROUP
    body = groups * GROUP
    columns = scores[:, :body].reshape(len(scores), GROUP, groups)
    maxima = columns.max(axis=1)
    # at least k items reach the k-th largest maximum, so that their exact scores are less below it than scores are off
    reached = maxima if k <= groups else scores
    place = max(0, reached.shape[1] - k)
    limit = np.partition(reached, place, axis=1)[:, place]
    limit = np.maximum(limit - 2 * off - ROUNDING * np.abs(limit), np.finfo(np.float32).min)
    rows, chosen = np.divmod(np.flatnonzero(maxima >= limit[:, None]), groups)
    found, column = np.divmod(np.flatnonzero(columns[rows, :, chosen] >= limit[rows, None]), GROUP)
    rows, items = rows[found], column * groups + chosen[found]
    if body < scores.shape[1]:
        behind, further = np.nonzero(scores[:, body:] >= limit[:, None])
        order = np.argsort(np.concatenate([rows, behind]), kind="stable")
        rows, items = np.concatenate([rows, behind])[order], np.concatenate([items, further + body])[order]
    return rows, items


def _best_columns(
    values: Floats, columns: npt.NDArray[np.integer[Any]], k: int, priority: npt.NDArray[np.integer[Any]] | None
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The columns (B, k) of the largest values (B, n), in order, and which rows have further values as large as the
    last; `columns` (B, n) says where they stand."""
    within = _largest(values, k)
    best = np.take_along_axis(columns, within, axis=1)
    best_values = np.take_along_axis(values, within, axis=1)
    order = np.lexsort((best if priority is None else priority[best], -best_values), axis=1)
    tied: npt.NDArray[np.bool_] = (values >= best_values.min(axis=1, keepdims=True)).sum(axis=1) > k
    return np.take_along_axis(best, order, axis=1).astype(np.int64), tied


def _largest(values: Floats, k: int) -> Ints:
    """Columns (B, k) of the largest values of each row, in any order; of equal ones at the border any."""
    width = values.shape[1]
    # numbers are partitioned several times faster than their places
    limit = np.partition(values, width - k, axis=1)[:, width - k, None]
    found = np.flatnonzero(values >= limit)
    if len(found) == len(values) * k:
        columns: Ints = found.reshape(-1, k) % width
        return columns
    return np.argpartition(values, width - k, axis=1)[:, width - k :]


def check_finite(values: Floats) -> None:
    """Refuse scores that are no numbers.

    Args:
        values: (B, n).

    Raises:
        ValueError: any of them is NaN or +inf; the row is `args[1]`.
    """
    # the largest value of a row is NaN where any is, and +inf where any is and none is NaN
    largest = values.max(axis=1, initial=-np.inf)
    wrong = np.isnan(largest) | np.isposinf(largest)
    if wrong.any():
        raise ValueError("a score is not finite", int(np.argmax(wrong)))


def _row_top_k(row: Floats, k: int, priority: npt.NDArray[np.integer[Any]] | None) -> Ints:
    limit = np.partition(row, len(row) - k)[len(row) - k]
    above = np.flatnonzero(row > limit)
    equal = np.flatnonzero(row == limit)
    wanted = k - len(above)
    if priority is not None and wanted < len(equal):
        equal = equal[np.argpartition(priority[equal], wanted - 1)]
    candidates = np.concatenate([above, equal[:wanted]])
    ties = candidates if priority is None else priority[candidates]
    return candidates[np.lexsort((ties, -row[candidates]))].astype(np.int64)
