"""The flat log and its plan as Sequence lines, the catalogue as Item lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core import jsonl
from eimf_core.prepare.flat import Log
from eimf_core.prepare.splits import Plan
from eimf_core.progress import Reporter

Line = tuple[str, int, int, int]


def write_sequences(path: Path, log: Log, plan: Plan, reporter: Reporter) -> None:
    """Write the lines of all users, user by user, as Sequence records (whole times as integers)."""
    reporter.begin("writing sequences", len(log))
    quoted = _quoted(log.item_ids)
    events = _quoted(log.event_names)
    with jsonl.atomic(path) as stream:
        for first, last in log.chunks():
            stream.write(b"".join(_chunk(log, plan, first, last, quoted, events)))
            reporter.advance(int(log.offsets[last] - log.offsets[first]))
    reporter.end()


def _quoted(ids: list[str]) -> npt.NDArray[np.object_]:
    made = np.empty(len(ids), dtype=object)
    made[:] = [orjson.dumps(name) for name in ids]
    return made


def _chunk(
    log: Log, plan: Plan, first: int, last: int, quoted: npt.NDArray[np.object_], events: npt.NDArray[np.object_]
) -> Iterator[bytes]:
    base, stop = int(log.offsets[first]), int(log.offsets[last])
    items = quoted[log.items[base:stop]].tolist()
    kinds = None if log.events is None else events[log.events[base:stop]].tolist()
    times = None if log.times is None else _numbers(np.asarray(log.times[base:stop]))
    starts = (log.offsets[first:last] - base).tolist()
    trained = (plan.train[first:last] - base).tolist()
    held = [
        (name, (plan.history[name][first:last] - base).tolist(), (plan.targets[name][first:last] - base).tolist())
        for name in plan.history
    ]
    for at, start in enumerate(starts):
        parts = [("train", trained[at], trained[at])] if trained[at] > start else []
        parts += [(name, history[at], targets[at]) for name, history, targets in held if targets[at] > start]
        user = orjson.dumps(log.user_ids[first + at])
        for name, end, target in parts:
            yield b'{"user":%b,"split":"%b","items":[%b]' % (user, name.encode(), b",".join(items[start:end]))
            if times is not None:
                yield b',"times":%b' % orjson.dumps(times[start:end], option=orjson.OPT_SERIALIZE_NUMPY)
            yield b',"targets":[%b]' % b",".join(items[end:target])
            if kinds is not None:
                yield b',"events":[%b]' % b",".join(kinds[start:end])
            yield b"}\n"


def _numbers(times: npt.NDArray[np.float64]) -> npt.NDArray[np.generic]:
    """Whole seconds as integers, which is how logs have them."""
    whole = times.astype(np.int64)
    return whole if (whole == times).all() else np.ascontiguousarray(times)
