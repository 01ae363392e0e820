"""Ready Sequence lines with a split made elsewhere: checked, not split again."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from eimf_core import dataset
from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.prepare import log_files
from eimf_core.prepare.config import APPLIES_TO, FILTERS, PrepareConfig
from eimf_core.prepare.filters import FilterStep
from eimf_core.prepare.item_catalogue import Catalogue
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.report import Report, SplitSize, quantiles
from eimf_core.records import Sequence as Line


def check_settings(config: PrepareConfig) -> None:
    """ConfigError for settings that would change lines that are passed through as they are."""
    if given := config.options_set("split", "hash_users", *APPLIES_TO, *FILTERS):
        raise ConfigError(
            f"{', '.join(given)}: ready Sequence lines keep the split they have and are passed through, not filtered"
        )


@dataclass
class SequenceStatistics:
    """What the report says of ready lines, gathered while they go by.

    Attributes:
        users, items: those of each split; items are of histories and targets.
        target_counts: how often an item is a target, by split.
        interactions, targets: their numbers, by split.
        item_codes: a number for each item.
        sequences: all that a user did, as item codes; the lines of several splits say more or less of it.
        equal_times: by user the length of the longest history with times, and how many equal the one before.
    """

    users: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    items: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    target_counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    interactions: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    most_targets: int = 0
    item_codes: dict[str, int] = field(default_factory=dict)
    sequences: dict[str, array[int]] = field(default_factory=dict)
    equal_times: dict[str, tuple[int, int]] = field(default_factory=dict)
    period: tuple[float, float] | None = None

    def facts(self) -> dict[str, Any]:
        return {"split": "given", "targets": "all" if self.most_targets > 1 else "next"}

    def add(self, line: Line) -> None:
        """Take note of a line."""
        split, targets = line.split, line.targets
        self.users[split].add(line.user)
        self.items[split].update(line.items, targets)
        self.target_counts[split].update(targets)
        self.interactions[split] += len(line.items)
        self.targets[split] += len(targets)
        self.most_targets = max(self.most_targets, len(targets))
        codes = self.item_codes
        sequence = array("i", (codes.setdefault(item, len(codes)) for item in (*line.items, *targets)))
        self.sequences[line.user] = merged(self.sequences.get(line.user, array("i")), sequence)
        if line.times:
            first, last = self.period or (line.times[0], line.times[-1])
            self.period = min(first, line.times[0]), max(last, line.times[-1])
            equal = sum(late == early for early, late in zip(line.times, line.times[1:], strict=False))
            self.equal_times[line.user] = max(self.equal_times.get(line.user, (0, 0)), (len(line.times), equal))

    def report(self, rejected: Mapping[str, int], catalogue: Catalogue) -> Report:
        """The report on lines that were passed through."""
        train = self.items["train"]
        sizes = {
            name: SplitSize(
                users=len(self.users[name]),
                interactions=self.interactions[name],
                targets=self.targets[name],
                items=len(self.items[name]),
                cold_items=len(self.items[name] - train),
                cold_targets=sum(count for item, count in self.target_counts[name].items() if item not in train),
                cold_users=len(self.users[name] - self.users["train"]) if name != "train" else 0,
                left_out={},
            )
            for name in ("train", "valid", "test")
        }
        lengths = np.fromiter(map(len, self.sequences.values()), dtype=np.int64, count=len(self.sequences))
        pairs = sum(len(set(sequence)) for sequence in self.sequences.values())
        total = int(lengths.sum())
        timed = sum(length for length, _ in self.equal_times.values())
        return Report(
            rejected=dict(rejected),
            steps=[FilterStep("read", 0, len(lengths), len(self.item_codes), total)],
            lengths=quantiles(lengths),
            density=pairs / (len(lengths) * len(self.item_codes)),
            equal_times=sum(equal for _, equal in self.equal_times.values()) / timed if timed else None,
            repeats=(total - pairs) / total,
            period=self.period,
            unused=0,
            splits=sizes,
            items_without_text=len(catalogue.without_text),
            described_not_in_log=catalogue.not_in_log,
        )


def merged(known: array[int], more: array[int]) -> array[int]:
    """What a user did, of two lines that each say a part: the longer, or each item as often as one of them has it."""
    short, long = sorted((known, more), key=len)
    if long[: len(short)] == short:
        return long
    return array("i", sorted((Counter(known) | Counter(more)).elements()))


def checked_lines(logs: Sequence[Source], found: SequenceStatistics, rejects: Rejects) -> Iterator[Line]:
    """The good lines of all files.

    Args:
        logs: files of Sequence lines.
        found: counts what is in them.
        rejects: gets bad lines.

    Yields:
        A line that can be used.

    Raises:
        InputError: none is for training.
    """
    seen: dict[tuple[str, str], str] = {}
    for source in logs:
        for number, text in log_files.lines(source.path, before=source.before, latin=False):
            try:
                raw = text.encode("utf-8", "surrogateescape")
                line = jsonl.decode(raw, Line, file=source.name, number=number)
                _check(line, source, number, seen)
            except InputError as error:
                rejects.add_error(error, text)
                continue
            seen[line.user, line.split] = f"{source.name}:{number}"
            found.add(line)
            yield line
    if not found.users["train"]:
        raise InputError("has no train lines", file=logs[0].name)


def _check(line: Line, source: Source, number: int, seen: dict[tuple[str, str], str]) -> None:
    def error(name: str, problem: str) -> InputError:
        return InputError(problem, file=source.name, line=number, field=name)

    if (line.user, line.split) in seen:
        raise error("user", f"'{line.user}' has a {line.split} line already ({seen[line.user, line.split]})")
    targets = line.targets
    if not line.items:
        raise error("items", "is empty; a line without a history is of no use")
    if not all([line.user, *line.items, *targets]):
        raise error("items", "an id is empty")
    if problem := dataset.sequence_problem(line):
        raise error(*problem)
    if line.split != "train" and not targets:
        raise error("targets", f"is empty; a {line.split} line says what came next")
    if not _in_order(line.times or []):
        raise error("times", "are not in order")
    if not _in_order([*(line.times or [])[-1:], *(line.target_times or [])]):
        raise error("target_times", "are not in order, behind those of the items")


def _in_order(times: Sequence[float]) -> bool:
    return all(early <= late for early, late in pairwise(times))
