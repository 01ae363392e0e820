"""The log as flat arrays, sorted by user, time and file order: what filters and splits work on.

Users and items are numbered in the order of their ids (numbers by value, then text), so that the
result does not depend on threads or on the order of the rows. The long arrays are mapped from
files in the scratch folder: the system drops their pages when memory is short.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.prepare.engine import literal
from eimf_core.progress import Reporter

STEP = 1 << 21
"""Rows handled at a time."""
ID_ORDER = "ORDER BY try_cast(id AS UBIGINT) NULLS LAST, id"


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


def build(connection: Any, scratch: Path, *, has: frozenset[str], reporter: Reporter) -> Log:
    """Number users and items of the table `raw`, sort, and lay the columns out as arrays."""
    reporter.begin("sorting")
    for field in ("user", "item"):
        connection.execute(
            f"CREATE TABLE {field}s AS SELECT id, row_number() OVER ({ID_ORDER}) - 1 AS code "
            f"FROM (SELECT DISTINCT {field} AS id FROM raw)"
        )
    names: list[str] = []
    if "event" in has:
        names = [row[0] for row in connection.execute("SELECT DISTINCT event FROM raw ORDER BY event").fetchall()]
    connection.execute(
        "CREATE TABLE log AS SELECT users.code::INTEGER AS user, items.code::INTEGER AS item, raw.time AS time, "
        f"{_event_code(names) if 'event' in has else '0::USMALLINT'} AS event "
        "FROM raw JOIN users ON raw.user = users.id JOIN items ON raw.item = items.id "
        f"ORDER BY users.code, {'raw.time, ' if 'time' in has else ''}raw.rowid"
    )
    connection.execute("DROP TABLE raw")
    ids = {
        field: [row[0] for row in connection.execute(f"SELECT id FROM {field}s ORDER BY code").fetchall()]
        for field in ("user", "item")
    }
    counts = connection.execute("SELECT count(*) AS n FROM log GROUP BY user ORDER BY user").fetchnumpy()["n"]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    columns = {"item": np.int32, "time": np.float64, "event": np.uint16}
    wanted = {field: kind for field, kind in columns.items() if field == "item" or field in has}
    arrays = _export(connection, scratch, wanted, int(offsets[-1]))
    connection.execute("DROP TABLE log; DROP TABLE users; DROP TABLE items")
    reporter.end()
    return Log(
        user_ids=ids["user"],
        item_ids=ids["item"],
        event_names=names,
        offsets=offsets,
        items=arrays["item"],
        times=arrays.get("time"),
        events=arrays.get("event"),
    )


def _event_code(names: list[str]) -> str:
    cases = " ".join(f"WHEN {literal(name)} THEN {code}" for code, name in enumerate(names))
    return f"(CASE raw.event {cases} END)::USMALLINT"


def _export(connection: Any, scratch: Path, columns: dict[str, Any], rows: int) -> dict[str, npt.NDArray[Any]]:
    arrays = {
        field: np.memmap(scratch / f"{field}.bin", dtype=kind, mode="w+", shape=(rows,))
        for field, kind in columns.items()
    }
    for start in range(0, rows, STEP):
        part = connection.execute(
            f"SELECT {', '.join(columns)} FROM log WHERE rowid >= {start} AND rowid < {start + STEP}"
        ).fetchnumpy()
        for field, array in arrays.items():
            array[start : start + STEP] = part[field]
    return dict(arrays)
