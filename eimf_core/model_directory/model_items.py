"""The items of a model as a file: `items.jsonl`, line i is item index i (from 1), and its index.

The index (safetensors) holds `offsets` (N + 1,) of the lines, and for look-up by id `hashes` (N,), rising, with
`order` (N,), the item index of each.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from eimf_core.errors import InputError, ModelError
from eimf_core.io import jsonl, system_files
from eimf_core.records import Item

BLOCK = 16_384
"""Items whose lines are read at once."""


class _Title(msgspec.Struct):
    title: str


TITLES = msgspec.json.Decoder(_Title)


def lines_of(items: Iterable[Item], lengths: list[int]) -> Iterator[bytes]:
    """The lines of a catalogue; their lengths are put down on the way."""
    for item in items:
        line = jsonl.encode(item)
        lengths.append(len(line))
        yield line


def index_of(items: list[Item], lengths: list[int]) -> dict[str, npt.NDArray[Any]]:
    """The index of an items file, by which items are read one by one.

    Args:
        items: in the order of their lines.
        lengths: bytes of each line.

    Returns:
        Arrays by name: `offsets` (N + 1,) of the lines in bytes; the `hashes` (N,) of ids, rising, and the item indices
        in their `order` (N,).
    """
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    hashes = np.fromiter((_hash(item.item) for item in items), dtype=np.uint64, count=len(items))
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    return {"offsets": offsets, "hashes": hashes[order], "order": order + 1}


def _hash(item: str) -> int:
    return int.from_bytes(hashlib.blake2b(item.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class ModelItems:
    """The items of a model, read one at a time: a million titles are not parsed to print ten.

    `lines` is a file descriptor, which is the catalogue's from then on and is closed with it.
    """

    def __init__(self, lines: int, index: dict[str, npt.NDArray[Any]], name: str) -> None:
        self._lines = lines
        weakref.finalize(self, os.close, lines).atexit = False
        self._name = name
        try:
            self._offsets, self._hashes, self._order = index["offsets"], index["hashes"], index["order"]
        except KeyError as error:
            raise ModelError(f"{name}: items.index.safetensors has no {error}") from None
        if any(part.ndim != 1 or part.dtype.kind not in "iu" for part in (self._offsets, self._hashes, self._order)):
            raise self._broken()
        count = len(self._offsets) - 1
        size = os.fstat(lines).st_size
        if len(self._hashes) != count or len(self._order) != count or count < 1 or self._offsets[-1] != size:
            raise self._broken()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def item(self, index: int) -> Item:
        """The item at an index from 1 on."""
        if not 1 <= index <= len(self):
            raise IndexError(f"item index {index} of {len(self)}")
        start, end = int(self._offsets[index - 1]), int(self._offsets[index])
        if not 0 <= start < end <= self._offsets[-1]:
            raise self._broken()
        return self._parse(system_files.read_at(self._lines, end - start, start), index)

    def _broken(self) -> ModelError:
        return ModelError(f"{self._name}: items.jsonl and its index disagree; train the model again")

    def __iter__(self) -> Iterator[Item]:
        """All items in order of their index."""
        lines = (line for block in self._blocks() for line in block.splitlines())
        for number, line in enumerate(lines, start=1):
            yield self._parse(line, number)

    def _blocks(self) -> Iterator[bytes]:
        """The lines of some thousand items at a time: a single read ends at 2 GiB."""
        last = len(self)
        for first in range(0, last, BLOCK):
            start, end = int(self._offsets[first]), int(self._offsets[min(first + BLOCK, last)])
            if not 0 <= start < end <= self._offsets[-1]:
                raise self._broken()
            yield system_files.read_at(self._lines, end - start, start)

    def titles(self) -> list[str]:
        """The title of every item, in order; without the rest of the items, which takes time to read."""
        try:
            made = [line.title for block in self._blocks() for line in TITLES.decode_lines(block)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            made = []
        # what cannot be read is said line by line
        return made if len(made) == len(self) else [item.title for item in self]

    def _parse(self, line: bytes, number: int) -> Item:
        try:
            return jsonl.decode(line, Item, file=f"{self._name}/items.jsonl", number=number)
        except InputError as error:
            raise ModelError(str(error)) from None

    def index(self, item: str) -> int:
        """Index of an item id, 0 when it is unknown."""
        wanted = np.uint64(_hash(item))
        at = int(np.searchsorted(self._hashes, wanted))
        while at < len(self) and self._hashes[at] == wanted:
            index = int(self._order[at])
            if not 1 <= index <= len(self):
                raise self._broken()
            if self.item(index).item == item:
                return index
            at += 1
        return 0
