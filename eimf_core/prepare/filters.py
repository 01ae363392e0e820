"""Filters on the flat log: each drops rows, says how many, and leaves offsets in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eimf_core.prepare.flat import Log

Keep = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """What a filter did: its name, and users, items and interactions left after it."""

    name: str
    removed: int
    users: int
    items: int
    interactions: int


def k_core(log: Log, *, min_user: int, min_item: int) -> Keep:
    """Rows (n,) of the largest part in which every user and every item has enough interactions."""
    users, items = len(log.user_ids), len(log.item_ids)
    keep_user, keep_item = np.ones(users, dtype=bool), np.ones(items, dtype=bool)
    keep = np.ones(len(log), dtype=bool)
    while True:
        user_counts = np.zeros(users, dtype=np.int64)
        item_counts = np.zeros(items, dtype=np.int64)
        for first, last in log.chunks():
            start, end = int(log.offsets[first]), int(log.offsets[last])
            part = keep[start:end]
            part &= keep_item[log.items[start:end]]
            part &= np.repeat(keep_user[first:last], np.diff(log.offsets[first : last + 1]))
            user_counts[first:last] = _sums(part, log.offsets[first : last + 1] - start)
            item_counts += np.bincount(log.items[start:end][part], minlength=items)
        few_users = keep_user & (user_counts > 0) & (user_counts < min_user)
        few_items = keep_item & (item_counts > 0) & (item_counts < min_item)
        if not few_users.any() and not few_items.any():
            return keep
        keep_user &= ~few_users
        keep_item &= ~few_items


def _sums(keep: Keep, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Kept rows per user."""
    running = np.concatenate([[0], np.cumsum(keep)])
    counts: npt.NDArray[np.int64] = running[offsets[1:]] - running[offsets[:-1]]
    return counts


def select(log: Log, keep: Keep) -> Log:
    """The log without the rows that are not kept; users and items left without any are dropped."""
    if keep.all():
        return log
    counts = np.concatenate([[0], np.cumsum(_sums(keep, log.offsets))])
    items = log.items[keep]
    used = np.zeros(len(log.item_ids), dtype=bool)
    used[items] = True
    users = np.flatnonzero(np.diff(counts))
    code = np.cumsum(used) - 1
    return replace(
        log,
        user_ids=_picked(log.user_ids, users),
        item_ids=_picked(log.item_ids, np.flatnonzero(used)),
        offsets=np.concatenate([counts[users], counts[-1:]]).astype(np.int64),
        items=code[items].astype(np.int32),
        times=None if log.times is None else log.times[keep],
        events=None if log.events is None else log.events[keep],
    )


def _picked(ids: Sequence[str], places: npt.NDArray[np.int64]) -> list[str]:
    return [ids[place] for place in places.tolist()]


def counted(name: str, before: Log, after: Log) -> Step:
    """The line of the report about a filter."""
    return Step(name, len(before) - len(after), len(after.user_ids), len(after.item_ids), len(after))
