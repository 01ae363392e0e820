"""The log as flat arrays, sorted by user, time and file order: what filters and splits work on.

Users and items are numbered in the order of their ids (numbers by value, then text), so that the
result does not depend on threads or on the order of the rows. The long arrays are mapped from
files in the scratch folder: the system drops their pages when memory is short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import InputError
from eimf_core.io.sql_text import literal
from eimf_core.prepare import numeric_ids
from eimf_core.progress import Reporter

STEP = 1 << 20
"""Rows handled at a time."""
NAME_ORDER = "ORDER BY try_cast(name AS UBIGINT) NULLS LAST, name"
MAX_EVENTS = 1000
ARRAYS = {"item": np.int32, "time": np.float64, "event": np.uint16}

Keep = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Log:
    """User u has the rows offsets[u] to offsets[u + 1], oldest first.

    offsets: int64 (U + 1,). items: int32 (n,), a position in `item_ids`. times: float64 (n,) unix
    seconds, or None for a log without. events: uint16 (n,), a position in `event_names`, or None.
    """

    user_ids: list[str]
    item_ids: list[str]
    event_names: list[str]
    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    times: npt.NDArray[np.float64] | None
    events: npt.NDArray[np.uint16] | None

    def __len__(self) -> int:
        """Number of interactions."""
        return int(self.offsets[-1])

    def chunks(self, step: int = STEP) -> Iterator[tuple[int, int]]:
        """Ranges of users with about `step` rows each."""
        first = 0
        while first < len(self.user_ids):
            last = int(np.searchsorted(self.offsets, self.offsets[first] + step, side="right")) - 1
            last = min(max(last, first + 1), len(self.user_ids))
            yield first, last
            first = last

    def users(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """The user of each row of some users.

        Args:
            first, last: the users, the last not included.

        Returns:
            int64 (n,), counted from `first`.
        """
        return np.repeat(np.arange(last - first), np.diff(self.offsets[first : last + 1]))


def sums(keep: Keep, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Kept rows per user.

    Args:
        keep: bool (n,), by row.
        offsets: int64 (U + 1,), of the rows of each user.

    Returns:
        int64 (U,).
    """
    running = np.concatenate([[0], np.cumsum(keep)])
    counts: npt.NDArray[np.int64] = running[offsets[1:]] - running[offsets[:-1]]
    return counts


def select(log: Log, keep: Keep) -> Log:
    """The log without the rows that are not kept; users and items left without any are dropped.

    Args:
        log: n interactions.
        keep: bool (n,), by row.

    Returns:
        Another log, or the same where all rows are kept.
    """
    if keep.all():
        return log
    counts = np.concatenate([[0], np.cumsum(sums(keep, log.offsets))])
    items = log.items[keep]
    used = np.zeros(len(log.item_ids), dtype=bool)
    used[items] = True
    users = np.flatnonzero(np.diff(counts))
    code = (np.cumsum(used) - 1).astype(np.int32)
    return replace(
        log,
        user_ids=_at(log.user_ids, users),
        item_ids=_at(log.item_ids, np.flatnonzero(used)),
        offsets=np.concatenate([counts[users], counts[-1:]]).astype(np.int64),
        items=code[items],
        times=None if log.times is None else log.times[keep],
        events=None if log.events is None else log.events[keep],
    )


def _at(ids: Sequence[str], positions: npt.NDArray[np.int64]) -> list[str]:
    return [ids[at] for at in positions.tolist()]


def build(
    connection: Any,
    scratch: Path,
    *,
    has: frozenset[str],
    where: Sequence[str] = (),
    reporter: Reporter,
    hash_users: bool = False,
) -> Log:
    """Number users and items of the table `raw`, sort, and lay the columns out as arrays.

    Args:
        connection: to DuckDB, with the table `raw`, which is dropped.
        scratch: the folder of the arrays' files.
        has: the columns of `raw`.
        where: SQL conditions on the rows of `raw` that count.
        reporter: told when sorting begins and ends.
        hash_users: whether hashes stand in place of the users' ids.

    Returns:
        The log, users and items in the order of their names.

    Raises:
        InputError: for a column of events with too many values to be one.
    """
    reporter.begin("sorting")
    kept = " AND ".join(where) or "true"
    for field in ("user", "item"):
        distinct = f"SELECT DISTINCT {field} AS id, id AS name FROM raw WHERE {kept}"
        connection.execute(
            f"CREATE TABLE {field}s AS SELECT id, name, row_number() OVER ({NAME_ORDER}) - 1 AS code FROM ({distinct})"
        )
        name = numeric_ids.name_sql(connection, field, reporter)
        if hash_users and field == "user":
            name = numeric_ids.hashed_sql(name)
        if name != "id":
            # ids that get the same name are one
            connection.execute(
                f"CREATE OR REPLACE TABLE {field}s AS SELECT id, name, dense_rank() OVER ({NAME_ORDER}) - 1 AS code "
                f"FROM (SELECT id, {name} AS name FROM {field}s)"
            )
    numeric_ids.warn_of_case(connection, reporter, hidden=hash_users)
    events = _event_names(connection, kept) if "event" in has else []
    columns = {"user": "users.code::INTEGER", "item": "items.code::INTEGER"}
    columns |= {"time": "raw.time"} if "time" in has else {}
    columns |= {"event": _event_code(events)} if "event" in has else {}
    connection.execute(
        f"CREATE TABLE log AS SELECT {', '.join(f'{value} AS {field}' for field, value in columns.items())} "
        f"FROM (SELECT *, rowid AS row FROM raw WHERE {kept}) AS raw "
        "JOIN users ON raw.user = users.id JOIN items ON raw.item = items.id "
        f"ORDER BY users.code, {'raw.time, ' if 'time' in has else ''}{'raw.tie, ' if 'tie' in has else ''}raw.row"
    )
    connection.execute("DROP TABLE raw")
    user_ids, item_ids = _ids(connection, "users"), _ids(connection, "items")
    counts = connection.execute("SELECT count(*) AS n FROM log GROUP BY user ORDER BY user").fetchnumpy()["n"]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    arrays = _export(connection, scratch, [field for field in ARRAYS if field in columns], int(offsets[-1]))
    connection.execute("DROP TABLE log; DROP TABLE users; DROP TABLE items")
    reporter.end()
    return Log(
        user_ids=user_ids,
        item_ids=item_ids,
        event_names=events,
        offsets=offsets,
        items=arrays["item"],
        times=arrays.get("time"),
        events=arrays.get("event"),
    )


def _ids(connection: Any, table: str) -> list[str]:
    """The names, by code; those that are alike once."""
    names = connection.execute(f"SELECT name FROM {table} ORDER BY code").fetchnumpy()["name"]
    return list(dict.fromkeys(names.tolist()))


def _event_names(connection: Any, kept: str) -> list[str]:
    found = connection.execute(
        f"SELECT DISTINCT event FROM raw WHERE {kept} ORDER BY event LIMIT {MAX_EVENTS + 1}"
    ).fetchall()
    if len(found) > MAX_EVENTS:
        raise InputError(
            f"has more than {MAX_EVENTS} values, which is no kind of behaviour; name the column with --event-column",
            field="event",
        )
    return [row[0] for row in found]


def _event_code(names: list[str]) -> str:
    cases = " ".join(f"WHEN {literal(name)} THEN {code}" for code, name in enumerate(names))
    return f"(CASE raw.event {cases} END)::USMALLINT"


def _export(connection: Any, scratch: Path, fields: list[str], rows: int) -> dict[str, npt.NDArray[Any]]:
    """Columns of the table `log` as arrays that are mapped from files."""
    arrays = {
        field: np.memmap(scratch / f"{field}.bin", dtype=ARRAYS[field], mode="w+", shape=(max(rows, 1),))[:rows]
        for field in fields
    }
    for start in range(0, rows, STEP):
        part = connection.execute(
            f"SELECT {', '.join(fields)} FROM log WHERE rowid >= {start} AND rowid < {start + STEP}"
        ).fetchnumpy()
        for field, array in arrays.items():
            array[start : start + STEP] = part[field]
    return dict(arrays)
