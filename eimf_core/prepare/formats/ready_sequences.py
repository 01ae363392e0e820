"""Ready Sequence lines with a split made elsewhere: checked, not split again."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eimf_core import jsonl
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.config import SPLITS_OF, PrepareConfig
from eimf_core.prepare.filters import Step
from eimf_core.prepare.formats.amazon import first_object
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.report import Report, SplitSize, quantiles
from eimf_core.prepare.scans import JsonLines
from eimf_core.records import Sequence as Line


def is_ready(source: Source) -> bool:
    """Whether the first line looks like a Sequence."""
    return {"user", "split", "items"} <= set(first_object(source))


def check_settings(settings: PrepareConfig) -> None:
    """ConfigError for options that would change lines that are passed through as they are."""
    told = [f"--{name.replace('_', '-')}" for name in ("split", *SPLITS_OF) if settings.is_told(name)]
    told += settings.filters()
    if told:
        raise ConfigError(
            f"{', '.join(told)}: ready Sequence lines keep the split they have and are passed through, not filtered"
        )


@dataclass
class Ready:
    """What was found while the lines went by.

    By split: users, items, how often an item is a target. courses: by user what the user did, which
    the lines of several splits say more or less of, as positions in `codes`. tied: by user how long
    the longest history with times is, and how many of its times equal the one before.
    """

    names: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    present: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    aims: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    interactions: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    most_targets: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    courses: dict[str, array[int]] = field(default_factory=dict)
    tied: dict[str, tuple[int, int]] = field(default_factory=dict)
    period: tuple[float, float] | None = None

    def facts(self) -> dict[str, Any]:
        return {"split": "given", "targets": "all" if self.most_targets > 1 else "next"}

    def add(self, line: Line) -> None:
        """Take note of a line."""
        split, targets = line.split, line.targets
        self.names[split].add(line.user)
        self.present[split].update(line.items, targets)
        self.aims[split].update(targets)
        self.interactions[split] += len(line.items)
        self.targets[split] += len(targets)
        self.most_targets = max(self.most_targets, len(targets))
        course = array("i", (self.codes.setdefault(item, len(self.codes)) for item in (*line.items, *targets)))
        self.courses[line.user] = joined(self.courses.get(line.user, array("i")), course)
        if line.times:
            first, last = self.period or (line.times[0], line.times[-1])
            self.period = min(first, line.times[0]), max(last, line.times[-1])
            ties = sum(late == early for early, late in zip(line.times, line.times[1:], strict=False))
            self.tied[line.user] = max(self.tied.get(line.user, (0, 0)), (len(line.times), ties))

    def report(self, rejects: Rejects, without_text: int, not_in_log: int) -> Report:
        """The report on lines that were passed through."""
        sizes = {
            name: SplitSize(
                users=len(self.names[name]),
                interactions=self.interactions[name],
                targets=self.targets[name],
                items=len(self.present[name]),
                cold_items=len(self.present[name] - self.present["train"]),
                cold_targets=sum(count for item, count in self.aims[name].items() if item not in self.present["train"]),
                cold_users=len(self.names[name] - self.names["train"]) if name != "train" else 0,
                left_out={},
            )
            for name in ("train", "valid", "test")
        }
        lengths = np.fromiter(map(len, self.courses.values()), dtype=np.int64, count=len(self.courses))
        pairs = sum(len(set(course)) for course in self.courses.values())
        total = int(lengths.sum())
        timed = sum(length for length, _ in self.tied.values())
        return Report(
            rejected=dict(rejects.reasons),
            steps=[Step("read", 0, len(lengths), len(self.codes), total)],
            lengths=quantiles(lengths),
            density=pairs / (len(lengths) * len(self.codes)),
            equal_times=sum(ties for _, ties in self.tied.values()) / timed if timed else None,
            repeats=(total - pairs) / total,
            period=self.period,
            unused=0,
            splits=sizes,
            items_without_text=without_text,
            described_not_in_log=not_in_log,
        )


def joined(known: array[int], more: array[int]) -> array[int]:
    """What a user did, of two lines that each say a part: the longer, or each item as often as one of them has it."""
    short, long = sorted((known, more), key=len)
    if long[: len(short)] == short:
        return long
    return array("i", sorted((Counter(known) | Counter(more)).elements()))


def checked(logs: Sequence[Source], found: Ready, rejects: Rejects) -> Iterator[Line]:
    """The good lines of all files; InputError when none is for training."""
    seen: dict[tuple[str, str], str] = {}
    for source in logs:
        for number, text in log_files.lines(source.path, latin=False):
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
    if not found.names["train"]:
        raise InputError("has no train lines", file=logs[0].name)


def _check(line: Line, source: Source, number: int, seen: dict[tuple[str, str], str]) -> None:
    def wrong(name: str, problem: str) -> InputError:
        return InputError(problem, file=source.name, line=number, field=name)

    if (line.user, line.split) in seen:
        raise wrong("user", f"'{line.user}' has a {line.split} line already ({seen[line.user, line.split]})")
    targets = line.targets
    if not line.items:
        raise wrong("items", "is empty; a line without a history is of no use")
    if not all([line.user, *line.items, *targets]):
        raise wrong("items", "an id is empty")
    if line.split == "train" and targets:
        raise wrong("targets", "a train line has none: every position is a target")
    if line.split != "train" and not targets:
        raise wrong("targets", f"is empty; a {line.split} line says what came next")
    for name, values in (("times", line.times), ("events", line.events)):
        if values is not None and len(values) != len(line.items):
            raise wrong(name, f"has {len(values)} entries for {len(line.items)} items")
    if line.times is not None and any(late < early for early, late in zip(line.times, line.times[1:], strict=False)):
        raise wrong("times", "are not in order")


LOGS = (
    LogFormat(
        "sequences",
        "ready Sequence lines (user, split, items, targets) with a split made elsewhere: checked and passed through",
        is_ready,
        lambda source, config: JsonLines({"user": "user", "item": "items"}),
    ),
)
