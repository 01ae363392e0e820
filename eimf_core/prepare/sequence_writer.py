"""The log and its split plan as Sequence lines.

Every part of a user begins with the first interaction, so a chunk of users is turned into text once
and the lines are slices of it: the history of a test line costs a copy, not another encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.io import files
from eimf_core.prepare.log_arrays import Log
from eimf_core.prepare.splits import SplitPlan
from eimf_core.progress import Reporter

COMMA = ord(",")
STEP = 1 << 15
"""Interactions turned into lines at a time; small, so that the same memory is used again."""


class JsonStrings:
    """Strings as JSON, to be joined by code."""

    def __init__(self, words: list[str]) -> None:
        self._quoted = np.empty(len(words), dtype=object)
        self._quoted[:] = [orjson.dumps(word) for word in words]
        self._lengths = np.fromiter(map(len, self._quoted), dtype=np.int64, count=len(words))

    def column(self, codes: npt.NDArray[np.integer]) -> JoinedValues:
        """The words of some codes, joined by commas.

        Args:
            codes: int (n,), positions of words.

        Returns:
            A column of n values.
        """
        return JoinedValues(b",".join(self._quoted[codes].tolist()), _starts(self._lengths[codes]))


class JoinedValues:
    """Values joined by commas, with where each begins; `part` is the text of a range of them."""

    def __init__(self, text: bytes, starts: npt.NDArray[np.int64]) -> None:
        self._text = text
        # few of them are asked for: no list is made of all
        self._starts = starts.data

    def part(self, start: int, end: int) -> bytes:
        """Values `start` to `end` joined by commas; empty when there are none."""
        return self._text[self._starts[start] : self._starts[end] - 1] if end > start else b""


def _starts(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each value begins in the joined text, and one behind its end plus a comma, shape (n + 1,)."""
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths + 1, out=starts[1:])
    return starts


def number_column(values: npt.NDArray[np.float64]) -> JoinedValues:
    """Numbers as JSON; whole ones without a point, which is how logs have them."""
    whole = values.astype(np.int64)
    made = whole if (whole == values).all() else np.ascontiguousarray(values)
    text = orjson.dumps(made, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    commas = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == COMMA)
    return JoinedValues(text, np.concatenate([[0], commas + 1, [len(text) + 1]]))


def write_sequences(path: Path, log: Log, plan: SplitPlan, reporter: Reporter) -> None:
    """Write the lines of all users, user by user, as Sequence records.

    Args:
        path: of the file, which appears whole or not at all.
        log: behind all filters.
        plan: of its split.
        reporter: hears of progress.
    """
    reporter.begin("writing sequences", len(log))
    items, events = JsonStrings(log.item_ids), JsonStrings(log.event_names)
    # one chunk is written while the next is made
    with files.atomic(path) as stream, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(stream.write, b"")
        for first, last in log.chunks(STEP):
            text = b"".join(_chunk(log, plan, first, last, items, events))
            writing.result()
            writing = pool.submit(stream.write, text)
            reporter.advance(int(log.offsets[last] - log.offsets[first]))
        writing.result()
    reporter.end()


def _chunk(
    log: Log, plan: SplitPlan, first: int, last: int, item_ids: JsonStrings, event_names: JsonStrings
) -> Iterator[bytes]:
    """The lines of users `first` to `last`."""
    base, stop = int(log.offsets[first]), int(log.offsets[last])
    items = item_ids.column(log.items[base:stop])
    times = None if log.times is None else number_column(np.asarray(log.times[base:stop]))
    events = None if log.events is None else event_names.column(log.events[base:stop])
    starts = (log.offsets[first:last] - base).tolist()
    trained = (plan.train[first:last] - base).tolist()
    held_out = [
        (
            name.encode(),
            (plan.history[name][first:last] - base).tolist(),
            (plan.targets[name][first:last] - base).tolist(),
        )
        for name in plan.history
    ]
    for at, start in enumerate(starts):
        user = orjson.dumps(log.user_ids[first + at])
        parts = [(b"train", trained[at], trained[at])] if trained[at] > start else []
        parts += [(name, history[at], targets[at]) for name, history, targets in held_out if targets[at] > start]
        for name, end, target in parts:
            timed = b"" if times is None else b',"times":[%b]' % times.part(start, end)
            marked = b"" if events is None else b',"events":[%b]' % events.part(start, end)
            if target > end:
                marked += b"" if times is None else b',"target_times":[%b]' % times.part(end, target)
                marked += b"" if events is None else b',"target_events":[%b]' % events.part(end, target)
            yield b'{"user":%b,"split":"%b","items":[%b]%b,"targets":[%b]%b}\n' % (
                user, name, items.part(start, end), timed, items.part(end, target), marked,
            )  # fmt: skip
