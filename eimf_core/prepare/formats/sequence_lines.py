"""Ready Sequence lines with a split made elsewhere: checked and passed through (see `prepare.ready_sequences`)."""

from __future__ import annotations

from eimf_core.prepare.formats.base import LogFormat, object_of
from eimf_core.prepare.scans import JsonLines

LOGS = (
    LogFormat(
        "sequences",
        "ready Sequence lines (user, split, items, targets) with a split made elsewhere: checked and passed through",
        lambda source: {"user", "split", "items"} <= set(object_of(source.first)),
        lambda source, config: JsonLines({"user": "user", "item": "items"}),
        json=True,
        needs=("user", "split", "items"),
    ),
)
