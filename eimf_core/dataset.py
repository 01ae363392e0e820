"""A prepared directory (`sequences.jsonl`, `items.jsonl`) as flat integer arrays.

What `cluster`, `train` and `eval` read. Only the splits that are asked for are kept: training
never sees a test line.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl, provenance
from eimf_core.numeric.arrays import ShortInts
from eimf_core.records import Item, Sequence
from eimf_core.text_cleaning import clean_item
from eimf_core.vocab import Vocab

Offsets = npt.NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True)
class SplitData:
    """The lines of one split. User i has `items[offsets[i]:offsets[i + 1]]`, targets likewise.

    `users`: ids in file order, U of them. `items`: int32, item indices from 1, all histories one
    after the other. `times`: float64 per item or None unless every line has times. `events`: int32 per
    item, its kind of behaviour as a number of `Dataset.event_names` from 1, or None unless every line has events.
    `target_times`, `target_events`: the same of targets.
    """

    users: list[str]
    offsets: Offsets
    items: ShortInts
    target_offsets: Offsets
    targets: ShortInts
    times: npt.NDArray[np.float64] | None
    events: ShortInts | None = None
    target_times: npt.NDArray[np.float64] | None = None
    target_events: ShortInts | None = None

    def __len__(self) -> int:
        return len(self.users)

    def history(self, user: int) -> ShortInts:
        """The items of a user.

        Args:
            user: position in the split, from 0.

        Returns:
            Item indices (n,), oldest first.
        """
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def target(self, user: int) -> ShortInts:
        """The targets of a user.

        Args:
            user: position in the split, from 0.

        Returns:
            Item indices (t,); none in the training split.
        """
        return self.targets[self.target_offsets[user] : self.target_offsets[user + 1]]


@dataclass(frozen=True)
class Dataset:
    """Catalogue and sequences. `facts` come from the sidecar of `sequences.jsonl`; `event_names` are the kinds of
    behaviour in the splits that were asked for, sorted. `labelled` are the training lines that labels are about, where
    these are not those of the split `train`: its first users, in the same order."""

    directory: Path
    items: list[Item]
    vocab: Vocab
    splits: dict[str, SplitData]
    facts: dict[str, Any]
    event_names: list[str] = field(default_factory=list)
    labelled: SplitData | None = None

    @property
    def protocol(self) -> str:
        """How the data was split, for the record of every figure, such as "leave-one-out/next"."""
        split = self.facts.get("split")
        return f"{split}/{self.facts.get('targets', 'next')}" if split else "unknown"

    def training_keys(self) -> Iterator[str]:
        """The key of each training line that labels may be about, see `sample_key`."""
        train, ids = self.labelled or self.splits["train"], self.vocab.ids
        for number, user in enumerate(train.users):
            yield sample_key(user, [ids[index - 1] for index in train.history(number)])

    def counts(self) -> npt.NDArray[np.int64]:
        """How often items stand in training lines.

        Returns:
            Interactions by item index, (N + 1,); entry 0 is 0.
        """
        train = self.splits["train"]
        return np.bincount(train.items, minlength=len(self.vocab) + 1).astype(np.int64)


def sample_key(user: str, items: list[str]) -> str:
    """First 16 hex digits of the sha256 of the user and the training items in order."""
    digest = hashlib.sha256()
    for part in (user, *items):
        raw = part.encode("utf-8", "surrogatepass")
        # the length keeps ["ab"] and ["a", "b"] apart
        digest.update(f"{len(raw)}:".encode())
        digest.update(raw)
    return digest.hexdigest()[:16]


def files_of(directory: str | Path) -> list[Path]:
    """The files that `load` reads."""
    sequences = Path(directory) / "sequences.jsonl"
    return [Path(directory) / "items.jsonl", sequences, provenance.sidecar(sequences)]


def refuse_missing(directory: str | Path) -> None:
    """ConfigError for what is no prepared directory, or lacks one of its two files."""
    folder = Path(directory)
    if not folder.is_dir():
        what = "is a file, expected the directory that prepare wrote" if folder.exists() else "no such directory"
        raise ConfigError(f"{directory}: {what}")
    for name in ("items.jsonl", "sequences.jsonl"):
        if not (folder / name).exists():
            raise ConfigError(f"{folder / name}: no such file; prepare writes it")


def load(directory: str | Path, splits: Collection[str] = ("train", "valid")) -> Dataset:
    """Read a prepared directory.

    Args:
        directory: what `prepare` wrote, or any program of the same two files.
        splits: those that are kept; the lines of others are skipped.

    Raises:
        ConfigError: for a directory or a file that is missing.
        InputError: for a bad line, an item that is not in the catalogue, or lists of different length in one line.
    """
    refuse_missing(directory)
    folder = Path(directory)
    items = load_items(folder / "items.jsonl")
    vocab = Vocab([item.item for item in items])
    path = folder / "sequences.jsonl"
    kinds: dict[str, int] = {}
    builders = {name: _SplitBuilder(path, vocab, kinds) for name in splits}
    for number, line in jsonl.read_numbered(path, Sequence):
        if line.split in builders:
            builders[line.split].add(number, line)
    names = sorted(kinds)
    # numbered as they came while they were read
    numbers = np.zeros(len(names) + 1, dtype=np.int32)
    numbers[[kinds[name] for name in names]] = np.arange(1, len(names) + 1)
    return Dataset(
        directory=folder,
        items=items,
        vocab=vocab,
        splits={name: builder.build(numbers) for name, builder in builders.items()},
        facts=provenance.read_facts(path),
        event_names=names,
    )


def load_items(path: str | Path) -> list[Item]:
    """All of `read_items`."""
    return list(read_items(path))


def read_items(path: str | Path) -> Iterator[Item]:
    """The items of an items.jsonl in file order, their text cleaned: the file may come from any program.

    Raises:
        InputError: for a bad line and for an id that occurs twice.
    """
    lines: dict[str, int] = {}
    for number, item in jsonl.read_numbered(path, Item):
        if item.item in lines:
            raise InputError(
                f"'{item.item}' stands on line {lines[item.item]} already", file=path, line=number, field="item"
            )
        lines[item.item] = number
        yield clean_item(item)


def sequence_problem(line: Sequence) -> tuple[str, str] | None:
    """The field of a line that disagrees with the others and what is wrong with it; None when nothing is."""
    if line.split == "train" and line.targets:
        return "targets", "a train line has none: every position is a target"
    for name, values, number, what in (
        ("times", line.times, len(line.items), "items"),
        ("events", line.events, len(line.items), "items"),
        ("target_times", line.target_times, len(line.targets), "targets"),
        ("target_events", line.target_events, len(line.targets), "targets"),
    ):
        if values is not None and len(values) != number:
            return name, f"has {len(values)} entries for {number} {what}"
    return None


class _SplitBuilder:
    """Collects lines in flat buffers: a list of small arrays would take more room than what they hold."""

    def __init__(self, path: Path, vocab: Vocab, kinds: dict[str, int]) -> None:
        """`kinds`: the kinds of behaviour seen so far, in all splits, and their numbers; grows."""
        self._path = path
        self._vocab = vocab
        self._kinds = kinds
        self._users: dict[str, int] = {}
        self._items, self._item_counts = array("i"), array("q", [0])
        self._targets, self._target_counts = array("i"), array("q", [0])
        self._times, self._target_times = _Values[float]("d"), _Values[float]("d")
        self._events, self._target_events = _Values[int]("i"), _Values[int]("i")

    def add(self, number: int, line: Sequence) -> None:
        def error(field: str, problem: str) -> InputError:
            return InputError(problem, file=self._path, line=number, field=field)

        if line.user in self._users:
            raise error("user", f"'{line.user}' has a {line.split} line already (line {self._users[line.user]})")
        self._users[line.user] = number
        for name, values, buffer, counts in (
            ("items", line.items, self._items, self._item_counts),
            ("targets", line.targets, self._targets, self._target_counts),
        ):
            indices = self._vocab.indices(values)
            if not indices.all():
                unknown = values[int(np.argmin(indices))]
                raise error(name, f"item '{unknown}' is not in items.jsonl; run prepare again")
            buffer.frombytes(indices.tobytes())
            counts.append(len(indices))
        if problem := sequence_problem(line):
            raise error(*problem)
        kinds = self._kinds
        for times, all_times in ((line.times, self._times), (line.target_times, self._target_times)):
            all_times.add(times)
        for events, all_events in ((line.events, self._events), (line.target_events, self._target_events)):
            all_events.add(None if events is None else [kinds.setdefault(kind, len(kinds) + 1) for kind in events])

    def build(self, numbers: ShortInts) -> SplitData:
        """The split; `numbers`: what each number of a kind of behaviour becomes."""
        return SplitData(
            users=list(self._users),
            offsets=np.cumsum(np.frombuffer(self._item_counts, dtype=np.int64)),
            items=np.frombuffer(self._items, dtype=np.int32),
            target_offsets=np.cumsum(np.frombuffer(self._target_counts, dtype=np.int64)),
            targets=np.frombuffer(self._targets, dtype=np.int32),
            times=self._times.all(np.float64),
            events=None if (events := self._events.all(np.int32)) is None else numbers[events],
            target_times=self._target_times.all(np.float64),
            target_events=None if (events := self._target_events.all(np.int32)) is None else numbers[events],
        )


class _Values(Generic[T]):
    """What each item of each line has; nothing where a line lacks it."""

    def __init__(self, kind: str) -> None:
        self._values: array[Any] | None = array(kind)

    def add(self, values: list[T] | None) -> None:
        """Those of the next line."""
        if values is None:
            self._values = None
        elif self._values is not None:
            self._values.extend(values)

    def all(self, kind: type[np.generic]) -> npt.NDArray[Any] | None:
        """Those of all lines."""
        return np.frombuffer(self._values, dtype=kind) if self._values else None
