"""Paired differences of the study: computed from the values of each user, and remembered without them.

The values are many and stay where runs were made. What was computed from them is kept in differences.jsonl beside the
lines, so that a study done in parts, on several machines, has all its intervals.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
from study_lines import Line, read_lines

from eimf_core.evaluation import statistics
from eimf_core.io import files

RESAMPLES = 2000
Values = npt.NDArray[np.float64]


class Difference(NamedTuple):
    """Mean over users of our value less theirs, its 95 % interval (NaN where the values of users are gone), and their
    mean."""

    gap: float
    low: float
    high: float
    base: float


class Differences:
    """Differences between runs: from the values in `folder`, else as `path` remembers them."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder, self._path = folder, path
        # by the keys of our runs and of theirs
        self._kept: dict[tuple[frozenset[str], frozenset[str]], dict[str, Difference | None]] = {
            (frozenset(line["ours"]), frozenset(line["theirs"])): {
                column: None if told is None else Difference(*told) for column, told in line["columns"].items()
            }
            for line in read_lines(path)
        }

    def between(self, ours: list[Line], theirs: list[Line], column: str) -> Difference | None:
        """The difference in a column, pooled over the seeds that both have; None where there is none to tell.

        Seeds of which no values are here are taken together with the others as if the differences of users went wholly
        together, whatever the seed: the interval is then at worst too wide. Values and what is remembered of runs that
        were done again since, with other figures, are of no use. Where that leaves a seed unknown the interval is NaN.
        """
        both = {run["seed"]: (run, other) for run in ours for other in theirs if run["seed"] == other["seed"]}
        pairs = {seed: (run["key"], other["key"]) for seed, (run, other) in both.items()}
        here = {seed for seed, pair in pairs.items() if all((self._folder / f"{key}.npz").exists() for key in pair)}
        parts: list[tuple[int, Difference | None]] = []
        left = set(pairs)
        if here != left:
            for known in sorted(self._kept, key=lambda known: -len(known[0])):
                seeds = {seed for seed, (key, _) in pairs.items() if key in known[0]}
                whole = known == _keys(pairs, seeds) and column in self._kept[known]
                if seeds and seeds <= left and whole:
                    told = self._kept[known][column]
                    if not _close(told, _of_means([both[seed] for seed in seeds], column)):
                        del self._kept[known][column]
                        continue
                    parts.append((len(seeds), told))
                    left -= seeds
        if not left <= here:
            return _of_means(list(both.values()), column)
        if left:
            found = self._computed(pairs, left, column)
            if not _close(found, _of_means([both[seed] for seed in left], column)):
                return _of_means(list(both.values()), column)
            self._kept.setdefault(_keys(pairs, left), {})[column] = found
            parts.append((len(left), found))
        return _together([(count, part) for count, part in parts if part is not None])

    def _computed(self, pairs: dict[int, tuple[str, str]], seeds: set[int], column: str) -> Difference | None:
        one, other = (self._pooled([pairs[seed][at] for seed in sorted(seeds)], column) for at in (0, 1))
        if one is None or other is None:
            return None
        there = ~np.isnan(one)
        if not there.any():
            return None
        gaps = (one - other)[there]
        means = statistics.bootstrap_means(gaps[:, None].astype(np.float32), RESAMPLES, np.random.default_rng(0))
        low, high = statistics.interval(means)
        return Difference(float(gaps.mean()), float(low[0]), float(high[0]), float(other[there].mean()))

    def _pooled(self, keys: list[str], column: str) -> Values | None:
        """The mean over runs of each user's values, (U,); None without such a column."""
        values = []
        for key in keys:
            with np.load(self._folder / f"{key}.npz") as stored:
                if column not in stored:
                    return None
                values.append(stored[column])
        return np.asarray(np.mean(values, axis=0))

    def write(self) -> None:
        """Remember what was computed."""
        kept = {keys: columns for keys, columns in self._kept.items() if columns}
        lines = [
            {
                "ours": sorted(ours),
                "theirs": sorted(theirs),
                "columns": {column: told and [*told] for column, told in columns.items()},
            }
            for (ours, theirs), columns in kept.items()
            if not any(ours < more and theirs < others for more, others in kept)
        ]
        lines.sort(key=lambda line: (line["ours"], line["theirs"]))
        with files.atomic(self._path) as stream:
            stream.writelines(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def _of_means(pairs: list[tuple[Line, Line]], column: str) -> Difference | None:
    """What the means of the runs say, without an interval; None where one has no such mean."""
    if any(run.get("figures", {}).get(column) is None for pair in pairs for run in pair):
        return None
    one, other = (float(np.mean([pair[at]["figures"][column] for pair in pairs])) for at in (0, 1))
    return Difference(one - other, np.nan, np.nan, other)


def _close(told: Difference | None, means: Difference | None) -> bool:
    """Whether a difference is that of these runs, as far as their means tell."""
    if told is None or means is None:
        return means is None
    return bool(np.allclose([told.gap, told.base], [means.gap, means.base], rtol=0, atol=1e-6))


def _keys(pairs: dict[int, tuple[str, str]], seeds: set[int]) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(pairs[seed][0] for seed in seeds), frozenset(pairs[seed][1] for seed in seeds)


def _together(parts: list[tuple[int, Difference]]) -> Difference | None:
    """Differences of so many seeds each as one; their half widths are weighted as they are."""
    seeds = sum(count for count, _ in parts)
    if not seeds:
        return None
    return Difference(*(float(sum(count * part[at] for count, part in parts) / seeds) for at in range(4)))
