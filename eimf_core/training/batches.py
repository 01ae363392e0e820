"""Training batches, gathered from the flat arrays of a split without a loop over samples.

A training line of n items holds n - 1 (history, target) pairs. Where a backbone reads all prefixes
in one pass, a row of a batch is a window of up to L + 1 neighbouring items, and every position but
the first is a target. Elsewhere a row is one history with one target. Rows of similar length go
together, so that little is computed on padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eimf_core.dataset import SplitData
from eimf_core.numeric.arrays import Ints
from eimf_core.numeric.padding import spans

SORTED_TOGETHER = 64  # batches whose rows are sorted by length among themselves


@dataclass(frozen=True)
class Batch:
    """`inputs` int64 (B, L), item indices, 0 where padded at the end; `targets` int64 (B, L), what
    follows each position, 0 where nothing is to be predicted; `positions` int64 (B, L), where the
    inputs stand in the split, any one for padding."""

    inputs: Ints
    targets: Ints
    positions: Ints


@dataclass(frozen=True)
class Epoch:
    """The rows of an epoch in order, cut into batches; any batch can be made without the others."""

    items: npt.NDArray[np.int32]
    starts: Ints
    lengths: Ints
    borders: Ints
    single: bool

    def __len__(self) -> int:
        return len(self.borders) - 1

    @property
    def padding(self) -> float:
        """Share of the input cells that are padding."""
        longest = np.maximum.reduceat(self.lengths, self.borders[:-1])
        return float(1.0 - self.lengths.sum() / (longest * np.diff(self.borders)).sum())

    def batch(self, number: int) -> Batch:
        """The batch at a position of the epoch."""
        rows = slice(self.borders[number], self.borders[number + 1])
        return gather(self.items, self.starts[rows], self.lengths[rows], single=self.single)


def gather(items: npt.NDArray[np.int32], starts: Ints, lengths: Ints, *, single: bool) -> Batch:
    """Rows of `lengths` items from `starts` on, with what follows each item, or the last one only."""
    at, valid = spans(starts, lengths)
    inputs = np.where(valid, items[at], 0).astype(np.int64)
    wanted = valid & (np.arange(at.shape[1]) == lengths[:, None] - 1) if single else valid
    # a row is followed by at least one more item of its user, so that at + 1 stays within the user
    targets = np.where(wanted, items[at + 1], 0).astype(np.int64)
    return Batch(inputs, targets, at)


class Batches:
    """All pairs of a split, newly ordered each epoch."""

    def __init__(self, split: SplitData, *, max_length: int, pairs: int, single: bool, per_window: int = 0) -> None:
        """`pairs` a batch; `single`: one target a row, about `per_window` of each L neighbouring targets
        an epoch (0 for all), since each costs a pass over its history."""
        self._split, self._max_length, self._pairs, self._single = split, max_length, pairs, single
        self._per_window = per_window
        self._lengths = np.diff(split.offsets)

    def epoch(self, rng: np.random.Generator) -> Epoch:
        """The rows of one epoch; depends on the generator alone."""
        starts, lengths = self._histories(rng) if self._single else self._windows(rng)
        order = rng.permutation(len(starts))
        sizes = np.ones(len(order), dtype=np.int64) if self._single else lengths[order]
        group = (np.cumsum(sizes) - sizes) // (self._pairs * SORTED_TOGETHER)
        order = order[np.lexsort((lengths[order], group))]
        sizes = np.ones(len(order), dtype=np.int64) if self._single else lengths[order]
        number = (np.cumsum(sizes) - sizes) // self._pairs
        firsts = np.flatnonzero(np.diff(number, prepend=-1))
        parts = np.split(order, firsts[1:])
        shuffled = [parts[at] for at in rng.permutation(len(parts))]
        order = np.concatenate(shuffled)
        borders = np.concatenate([[0], np.cumsum([len(part) for part in shuffled])])
        return Epoch(self._split.items, starts[order], lengths[order], borders, self._single)

    def _histories(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Prefixes that have a next item, all or a sample, cut to their last L items."""
        counts = np.maximum(self._lengths - 1, 0)
        lengths = _ramps(counts) + 1
        firsts = np.repeat(self._split.offsets[:-1], counts)
        if self._per_window:
            # a user with few pairs keeps them all
            crowd = np.repeat(np.minimum(counts, self._max_length), counts)
            drawn = rng.random(len(lengths)) * crowd < self._per_window
            firsts, lengths = firsts[drawn], lengths[drawn]
        kept = np.minimum(lengths, self._max_length)
        return firsts + lengths - kept, kept

    def _windows(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Windows that cover every pair of a user once, with a border that moves between epochs."""
        length = self._max_length
        counts = np.maximum(self._lengths - 1, 0)
        shift = np.where(counts > length, rng.integers(length, size=len(counts)), 0)
        number = np.where(counts > 0, -(-(counts + shift) // length), 0)
        owner = np.repeat(np.arange(len(counts)), number)
        ends = np.minimum((_ramps(number) + 1) * length - shift[owner], counts[owner])
        begins = np.maximum(_ramps(number) * length - shift[owner], 0)
        return self._split.offsets[owner] + begins, ends - begins


def latest(split: SplitData, users: Ints, longest: int) -> Ints:
    """The last items of some users' histories.

    Args:
        split: of the users.
        users: their positions in it, (n,).
        longest: items of a history at most.

    Returns:
        Item indices (n, L), oldest first, 0 where padded at the end.
    """
    ends = split.offsets[users + 1]
    kept = np.minimum(ends - split.offsets[users], longest)
    at, valid = spans(ends - kept, kept)
    return np.where(valid, split.items[at], 0).astype(np.int64)


def _ramps(counts: Ints) -> Ints:
    """0 … c - 1 for each c, one after the other."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
