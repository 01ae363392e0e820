"""Filters: what each drops, and how many users, items and interactions are left after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from eimf_core.errors import ConfigError
from eimf_core.io.sql_text import literal
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.log_arrays import Keep, Log, select, sums

MAX_NAMED = 10
"""Kinds of behaviour that an error names."""


@dataclass(frozen=True)
class FilterStep:
    """What a filter did: its name, what it removed, and users, items and interactions left after it."""

    name: str
    removed: int
    users: int
    items: int
    interactions: int


def conditions(config: PrepareConfig, has: frozenset[str]) -> dict[str, str]:
    """SQL conditions on single rows by the name of the filter, in the order in which they apply."""
    found: dict[str, str] = {}

    def needs(field: str, option: str) -> None:
        if field not in has:
            raise ConfigError(f"{option}: the log has no {field}; name its column with --{field}-column")

    if config.event:
        needs("event", "--event")
        names = ", ".join(literal(name) for name in config.event)
        found[f"events {', '.join(config.event)}"] = f"event IN ({names})"
    if config.min_rating is not None:
        needs("rating", "--min-rating")
        found[f"ratings of at least {config.min_rating:g}"] = f"rating >= {config.min_rating!r}"
    for name, sign in (("since", ">="), ("until", "<")):
        limit = config.seconds(name)
        if limit is not None:
            needs("time", f"--{name}")
            found[f"{name} {getattr(config, name)}"] = f"time {sign} {limit!r}"
    return found


def check_events(connection: Any, wanted: Sequence[str]) -> None:
    """ConfigError for a kind of behaviour that does not occur in `raw`; it names those that do."""
    occurring = connection.execute("SELECT event, count(*) FROM raw GROUP BY event ORDER BY 2 DESC, 1").fetchall()
    missing = sorted(set(wanted) - {name for name, _ in occurring})
    if missing:
        kinds = ", ".join(f"{name or '(none)'} ({count:,})" for name, count in occurring[:MAX_NAMED])
        more = f" and {len(occurring) - MAX_NAMED:,} more" if len(occurring) > MAX_NAMED else ""
        raise ConfigError(f"--event {missing[0]}: no row has this kind; there are {kinds}{more}")


def count_conditions(connection: Any, conditions: dict[str, str]) -> list[FilterStep]:
    """The step "read" and one for each condition, each on what the ones before it left."""
    steps: list[FilterStep] = []
    kept = ["true"]
    for name, condition in {"read": "true", **conditions}.items():
        kept.append(condition)
        rows, users, items = connection.execute(
            f"SELECT count(*), count(DISTINCT user), count(DISTINCT item) FROM raw WHERE {' AND '.join(kept)}"
        ).fetchone()
        steps.append(FilterStep(name, steps[-1].interactions - rows if steps else 0, users, items, rows))
    return steps


def apply(log: Log, config: PrepareConfig) -> tuple[Log, list[FilterStep]]:
    """The filters that look at more than one row: duplicates, repeats, the k-core, the length."""
    steps = []
    for name, rows_kept in _log_filters(log, config):
        left = select(log, rows_kept(log))
        steps.append(FilterStep(name, len(log) - len(left), len(left.user_ids), len(left.item_ids), len(left)))
        log = left
    return log, steps


def _log_filters(log: Log, config: PrepareConfig) -> Iterator[tuple[str, Callable[[Log], Keep]]]:
    """Name and function of each filter that the settings ask for, in the order in which they apply."""
    if config.duplicates == "drop" and log.times is not None:
        yield "no duplicates", no_duplicates
    if config.repeats != "keep":
        yield f"{config.repeats} of repeats", partial(one_of_repeats, which=config.repeats)
    if config.min_user > 1 or config.min_item > 1:
        name = f"at least {config.min_user} a user, {config.min_item} an item"
        yield name, partial(k_core, min_user=config.min_user, min_item=config.min_item)
    if config.max_length is not None:
        yield f"last {config.max_length} of a user", partial(latest, longest=config.max_length)


def no_duplicates(log: Log) -> Keep:
    """Rows (n,) that are not the same user, item, time and event as an earlier one."""
    assert log.times is not None
    keep = np.ones(len(log), dtype=bool)
    for first, last in log.chunks():
        start, end = int(log.offsets[first]), int(log.offsets[last])
        users, times = log.users(first, last), log.times[start:end]
        same = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
        # only rows that share user and time with a neighbour can be duplicates: few in most logs
        tied = np.flatnonzero(np.concatenate([[False], same]) | np.concatenate([same, [False]]))
        if not len(tied):
            continue
        group = np.cumsum(~np.concatenate([[False], same]))[tied]
        events = np.zeros(len(tied)) if log.events is None else log.events[start:end][tied]
        again = _repeated_rows((group, log.items[start:end][tied], events))
        keep[start + tied[again]] = False
    return keep


def one_of_repeats(log: Log, which: str) -> Keep:
    """Rows (n,) that are the first, or the last, of their user and item."""
    keep = np.ones(len(log), dtype=bool)
    for first, last in log.chunks():
        start, end = int(log.offsets[first]), int(log.offsets[last])
        users, items = log.users(first, last), log.items[start:end]
        if which == "first":
            keep[start:end] = ~_repeated_rows((users, items))
        else:
            keep[start:end] = ~_repeated_rows((users[::-1], items[::-1]))[::-1]
    return keep


def _repeated_rows(keys: tuple[Any, ...]) -> Keep:
    """Which rows have the keys of an earlier row."""
    order = np.lexsort(keys[::-1])
    same = np.ones(len(order) - 1, dtype=bool) if len(order) else np.zeros(0, dtype=bool)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    again = np.zeros(len(order), dtype=bool)
    again[order[1:][same]] = True
    return again


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
            part &= keep_user[first:last][log.users(first, last)]
            user_counts[first:last] = sums(part, log.offsets[first : last + 1] - start)
            item_counts += np.bincount(log.items[start:end][part], minlength=items)
        few_users = keep_user & (user_counts > 0) & (user_counts < min_user)
        few_items = keep_item & (item_counts > 0) & (item_counts < min_item)
        if not few_users.any() and not few_items.any():
            return keep
        keep_user &= ~few_users
        keep_item &= ~few_items


def latest(log: Log, longest: int) -> Keep:
    """Which rows are among the last of their user.

    Args:
        log: n interactions.
        longest: how many of each user are kept.

    Returns:
        bool (n,).
    """
    keep = np.ones(len(log), dtype=bool)
    for first, last in log.chunks():
        start, end = int(log.offsets[first]), int(log.offsets[last])
        keep[start:end] = log.offsets[1:][first:last][log.users(first, last)] - np.arange(start, end) <= longest
    return keep
