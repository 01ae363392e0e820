"""Ready Sequence lines with a split made elsewhere: checked, not split again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from eimf_core import jsonl
from eimf_core.errors import InputError
from eimf_core.prepare.filters import Step
from eimf_core.prepare.formats.amazon import first_object
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.report import Report, SplitSize
from eimf_core.prepare.scans import JsonLines
from eimf_core.prepare.sources import Source
from eimf_core.records import Sequence as Line


def is_ready(source: Source) -> bool:
    """Whether the first line looks like a Sequence."""
    return {"user", "split", "items"} <= set(first_object(source))


@dataclass
class Ready:
    """What was found while the lines went by, by split: users, items, how often an item is a target."""

    names: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    present: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    aims: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    users: Counter[str] = field(default_factory=Counter)
    interactions: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    most_targets: int = 0

    @property
    def items(self) -> set[str]:
        """All items."""
        return set().union(*self.present.values())

    def facts(self) -> dict[str, Any]:
        return {"split": "given", "targets": "all" if self.most_targets > 1 else "next"}

    def report(self, without_text: int, not_in_log: int) -> Report:
        """The report on lines that were passed through."""
        sizes = {
            name: SplitSize(
                users=self.users[name],
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
        total = sum(self.interactions.values()) + sum(self.targets.values())
        users = set().union(*self.names.values())
        return Report(
            rejected={},
            steps=[Step("read", 0, len(users), len(self.items), total)],
            lengths={},
            density=total / (len(users) * len(self.items)),
            equal_times=None,
            repeats=None,
            period=None,
            unused=0,
            splits=sizes,
            items_without_text=without_text,
            described_not_in_log=not_in_log,
        )


def checked(logs: Sequence[Source], found: Ready) -> Iterator[Line]:
    """The lines of all files, each checked; InputError names file, line and field."""
    seen: dict[tuple[str, str], str] = {}
    for source in logs:
        for number, line in jsonl.read_numbered(source.path, Line):

            def wrong(name: str, problem: str, source: Source = source, number: int = number) -> InputError:
                return InputError(problem, file=source.name, line=number, field=name)

            key = (line.user, line.split)
            if key in seen:
                raise wrong("user", f"'{line.user}' has a {line.split} line already ({seen[key]})")
            seen[key] = f"{source.name}:{number}"
            _check(line, wrong)
            found.names[line.split].add(line.user)
            found.present[line.split].update(line.items, line.targets)
            found.aims[line.split].update(line.targets)
            found.users[line.split] += 1
            found.interactions[line.split] += len(line.items)
            found.targets[line.split] += len(line.targets)
            found.most_targets = max(found.most_targets, len(line.targets))
            yield line
    if not found.users["train"]:
        raise InputError("has no train lines", file=logs[0].name)


def _check(line: Line, wrong: Any) -> None:
    if not line.items:
        raise wrong("items", "is empty; a line without a history is of no use")
    if not all([line.user, *line.items, *line.targets]):
        raise wrong("items", "an id is empty")
    if line.split == "train" and line.targets:
        raise wrong("targets", "a train line has none: every position is a target")
    if line.split != "train" and not line.targets:
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
