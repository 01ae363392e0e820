"""What changed since a previous evaluation: its report, or the Metric lines that it wrote."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from eimf_core.errors import InputError
from eimf_core.evaluation import baselines
from eimf_core.io import files, jsonl, provenance, raw_files
from eimf_core.records import Metric

LINES = re.compile(rb'<pre id="lines">(.*?)</pre>', re.DOTALL)
"""Where a report holds its figures."""
MetricFigures = dict[tuple[str, str, int | None], Metric]


@dataclass(frozen=True)
class PreviousReport:
    """Figures of all users by system, metric and cutoff; `sequences` is the sha256 of the data, None if not known."""

    name: str
    figures: MetricFigures
    sequences: str | None

    def counterpart(self, name: str, contenders: Sequence[str]) -> str:
        """The system that one of today's is compared with: of its name, or the only model of either evaluation."""
        theirs = {system for system, _, _ in self.figures} - {kind.name for kind in baselines.BASELINES}
        return next(iter(theirs)) if len(theirs) == 1 and list(contenders) == [name] else name


def figures_as_lines(records: Sequence[Metric]) -> str:
    """The figures of all users as JSON lines, as a report holds them."""
    return "".join(f"{jsonl.encode(record).decode()}\n" for record in records if _wanted(record))


def read(path: str | Path) -> PreviousReport:
    """Read a previous report, or Metric lines.

    Raises:
        ConfigError: the file cannot be read.
        InputError: it is neither.
    """
    try:
        with raw_files.regular(path) as stream:
            content = stream.read()
    except OSError as error:
        raise files.unreadable(path, error) from None
    found = LINES.search(content)
    text = html.unescape(found.group(1).decode("utf-8", "replace")).encode() if found else content
    records = []
    try:
        for line in text.splitlines():
            if line.strip():
                records.append(msgspec.json.decode(line, type=Metric))
    except (msgspec.DecodeError, UnicodeDecodeError):
        records = []
    figures = {(record.model, record.metric, record.k): record for record in records if _wanted(record)}
    if not figures:
        raise InputError("is neither a report of eval --report nor lines of eval -o; give one of these", file=path)
    described = provenance.inputs(path)
    sequences = next((known for name, known in described.items() if Path(name).name == "sequences.jsonl"), None)
    return PreviousReport(str(path), figures, sequences)


def _wanted(record: Metric) -> bool:
    return record.compared_to is None and record.slice == "all"


def data_differences(previous: PreviousReport, records: Sequence[Metric], sequences: str | None) -> str | None:
    """Why figures of then and now may differ for other reasons than the model.

    Args:
        previous: what was read.
        records: those of today.
        sequences: the sha256 of today's data.

    Returns:
        The reason in words; None where nothing is known of one.
    """
    then = next(iter(previous.figures.values()))
    now = next(record for record in records if _wanted(record))
    for field in ("split", "protocol", "seen", "users"):
        before, after = getattr(then, field), getattr(now, field)
        if before != after:
            return f"not the same {'users' if field == 'users' else field}: {before} then, {after} now"
    if previous.sequences is not None and sequences is not None and previous.sequences != sequences:
        return "not the same sequences.jsonl"
    return None
