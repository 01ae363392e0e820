"""From values per user to figures: means, intervals, paired comparisons, and the records that say all this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation import statistics
from eimf_core.evaluation.aggregate_metrics import TOTALS, Totals, jackknife_interval
from eimf_core.evaluation.interest_usage import SHARES, InterestUse, shares
from eimf_core.evaluation.measure import Column, Measured
from eimf_core.records import Metric

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
ALL = "all"


@dataclass
class Entry:
    """A line of the table: a model, a baseline, or a group of models that differ in their seed.

    `values` (U, C) are those of the plan's columns. `role` is "model", "baseline", "group", or "member"
    for a model that stands in a group and is not compared by itself. `members` are the places of a
    group's models among the entries.
    """

    name: str
    role: str
    values: Floats
    totals: dict[int, list[Totals]]
    interest_use: InterestUse | None = None
    seed: int | None = None
    group: str | None = None
    seeds: int | None = None
    members: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, measured: Measured, role: str, *, seed: int | None = None) -> Entry:
        return cls(
            name=measured.system,
            role=role,
            values=measured.values,
            totals={k: [measured.totals(k)] for k in measured.recommended},
            interest_use=measured.interest_use,
            seed=seed,
        )


@dataclass(frozen=True)
class Common:
    """What every record of an evaluation repeats."""

    split: str
    protocol: str
    seen: str
    ties: str
    left_out: dict[str, int]
    eval_seed: int

    def record(self, **fields: object) -> Metric:
        return Metric(
            split=self.split,
            protocol=self.protocol,
            seen=self.seen,  # type: ignore[arg-type]
            ties=self.ties,  # type: ignore[arg-type]
            left_out=self.left_out,
            eval_seed=self.eval_seed,
            **fields,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Sampling:
    """How intervals and tests are drawn."""

    resamples: int
    seed: int
    threads: int

    def generator(self, purpose: int, part: int) -> np.random.Generator:
        """A generator of its own for each purpose and slice, so that adding one changes no other figure."""
        return np.random.default_rng([self.seed, purpose, part])


@dataclass(frozen=True)
class Region:
    """A slice: its users (U,) and the columns that belong to it."""

    name: str
    users: Mask
    columns: list[int]


def regions(columns: Sequence[Column], user_slices: dict[str, Mask], users: int) -> list[Region]:
    """All users, then slices of users with the same columns, then slices of targets with their own."""
    main = [at for at, column in enumerate(columns) if column.slice == ALL]
    made = [Region(ALL, np.ones(users, dtype=np.bool_), main)]
    made += [Region(name, mask, main) for name, mask in user_slices.items()]
    names = dict.fromkeys(column.slice for column in columns if column.slice != ALL)
    for name in names:
        own = [at for at, column in enumerate(columns) if column.slice == name]
        made.append(Region(name, np.ones(users, dtype=np.bool_), own))
    return made


def records(
    entries: Sequence[Entry],
    columns: Sequence[Column],
    totals: Sequence[str],
    parts: Sequence[Region],
    common: Common,
    sampling: Sampling,
) -> list[Metric]:
    """Every figure of every entry, slice by slice, then every comparison; `totals` names the figures of all lists."""
    figures: list[Metric] = []
    compared: list[Metric] = []
    for number, part in enumerate(parts):
        drawn = _Region(entries, part, sampling, number)
        for at, entry in enumerate(entries):
            if drawn.users:
                figures += _of_entry(entry, at, drawn, columns, common)
            if part.name == ALL:
                figures += _totals(entry, totals, len(part.users), common)
                figures += _shares(entry, totals, len(part.users), common, sampling)
        if not drawn.users:
            continue
        compared += _comparisons(entries, drawn, columns, common, sampling, number)
    return figures + _with_holm(compared)


class _Region:
    """Values of all entries within a region, with resampled means: column c of entry e is e * width + c."""

    def __init__(self, entries: Sequence[Entry], part: Region, sampling: Sampling, number: int) -> None:
        self.part = part
        self.width = len(part.columns)
        stacked = np.concatenate([entry.values[:, part.columns] for entry in entries], axis=1)[part.users]
        # a user without any value here has no target in the slice
        self.values = stacked[~np.isnan(stacked).all(axis=1)] if stacked.size else stacked
        self.users = len(self.values)
        if not self.users:
            return
        self.valid = ~np.isnan(self.values)
        partial = np.flatnonzero(~self.valid.all(axis=0))
        filled = np.where(self.valid, self.values, np.float32(0))
        with np.errstate(invalid="ignore"):
            self.means = filled.sum(axis=0, dtype=np.float64) / self.valid.sum(axis=0)
        columns = np.concatenate([filled, self.valid[:, partial].astype(np.float32)], axis=1)
        count = statistics.resamples_for(self.users, sampling.resamples)
        drawn = statistics.bootstrap_means(columns, count, sampling.generator(0, number), sampling.threads)
        self.drawn = drawn[:, : filled.shape[1]]
        with np.errstate(invalid="ignore", divide="ignore"):
            # the mean of the users who have a value, among those drawn
            self.drawn[:, partial] /= drawn[:, filled.shape[1] :]

    def column(self, entry: int, column: int) -> int:
        return entry * self.width + column

    def spread(self, members: Sequence[int], column: int) -> float | None:
        """Standard deviation of the means of a group's models."""
        if not members:
            return None
        return float(np.std(self.means[[self.column(member, column) for member in members]], ddof=1))


def _of_entry(entry: Entry, at: int, drawn: _Region, columns: Sequence[Column], common: Common) -> Iterator[Metric]:
    for place, index in enumerate(drawn.part.columns):
        own = drawn.column(at, place)
        users = int(drawn.valid[:, own].sum())
        if not users:
            continue
        low, high = statistics.interval(drawn.drawn[:, own])
        column = columns[index]
        yield common.record(
            metric=column.metric,
            k=column.k,
            value=float(drawn.means[own]),
            ci_low=float(low),
            ci_high=float(high),
            users=users,
            slice=drawn.part.name,
            model=entry.name,
            group=entry.group,
            seed=entry.seed,
            seeds=entry.seeds,
            spread=drawn.spread(entry.members, place),
        )


def _totals(entry: Entry, wanted: Sequence[str], users: int, common: Common) -> Iterator[Metric]:
    """Figures of the lists of all users together; a group has the mean of its models."""
    for k, members in entry.totals.items():
        for name in (name for name in wanted if name in TOTALS):
            found = [member.figures[name] for member in members]
            value = float(np.mean([figure.value for figure in found]))
            low, high = jackknife_interval(value, np.mean([figure.moves for figure in found], axis=0), users)
            spread = float(np.std([figure.value for figure in found], ddof=1)) if len(found) > 1 else None
            yield common.record(
                metric=name, k=k, value=value, ci_low=low, ci_high=high, spread=spread, users=users, **_own(entry)
            )


def _shares(entry: Entry, wanted: Sequence[str], users: int, common: Common, sampling: Sampling) -> Iterator[Metric]:
    """What each interest brought; the bootstrap draws users, with all their places and hits."""
    use = entry.interest_use
    parts = [(k, name) for k in entry.totals for name in wanted if name in SHARES]
    if use is None or not parts:
        return
    counts = np.concatenate([SHARES[name](use, k) for k, name in parts], axis=1)
    number = statistics.resamples_for(users, sampling.resamples)
    drawn = statistics.bootstrap_means(
        counts.astype(np.float32), number, sampling.generator(2, 0), sampling.threads
    ).reshape(number, len(parts), -1)
    with np.errstate(invalid="ignore"):
        drawn = np.nan_to_num(drawn / drawn.sum(axis=2, keepdims=True))
    low, high = statistics.interval(drawn)
    for at, (k, name) in enumerate(parts):
        for interest, share in enumerate(shares(SHARES[name](use, k))):
            yield common.record(
                metric=name,
                k=k,
                value=float(share),
                ci_low=float(low[at, interest]),
                ci_high=float(high[at, interest]),
                users=users,
                slice=f"interest={interest}",
                **_own(entry),
            )


def _own(entry: Entry) -> dict[str, object]:
    return {"model": entry.name, "group": entry.group, "seed": entry.seed, "seeds": entry.seeds}


def pairs(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """Which entries are compared: every model or group with those before it and with every baseline."""
    contenders = [at for at, entry in enumerate(entries) if entry.role in ("model", "group")]
    baselines = [at for at, entry in enumerate(entries) if entry.role == "baseline"]
    return [(later, earlier) for earlier, later in combinations(contenders, 2)] + list(product(contenders, baselines))


def _comparisons(
    entries: Sequence[Entry],
    drawn: _Region,
    columns: Sequence[Column],
    common: Common,
    sampling: Sampling,
    number: int,
) -> list[Metric]:
    made = []
    compared = [
        (first, second, place)
        for first, second in pairs(entries)
        for place in range(drawn.width)
        if drawn.valid[:, drawn.column(first, place)].all() and drawn.valid[:, drawn.column(second, place)].all()
    ]
    if not compared:
        return []
    left = [drawn.column(first, place) for first, _, place in compared]
    right = [drawn.column(second, place) for _, second, place in compared]
    low, high = statistics.interval(drawn.drawn[:, left] - drawn.drawn[:, right])
    p = statistics.randomisation_p(
        drawn.values[:, left] - drawn.values[:, right],
        statistics.resamples_for(drawn.users, sampling.resamples),
        sampling.generator(1, number),
        sampling.threads,
    )
    for at, (first, second, place) in enumerate(compared):
        column = columns[drawn.part.columns[place]]
        made.append(
            common.record(
                metric=column.metric,
                k=column.k,
                value=float(drawn.means[left[at]]),
                ci_low=float(low[at]),
                ci_high=float(high[at]),
                users=drawn.users,
                slice=drawn.part.name,
                model=entries[first].name,
                group=entries[first].group,
                seed=entries[first].seed,
                seeds=entries[first].seeds,
                compared_to=entries[second].name,
                difference=float(drawn.means[left[at]] - drawn.means[right[at]]),
                p=float(p[at]),
            )
        )
    return made


def _with_holm(compared: Sequence[Metric]) -> list[Metric]:
    """p-values corrected within a family: one metric at one cutoff, all pairs; all slices of it are another."""
    import msgspec

    families: dict[tuple[str, int | None, bool], list[int]] = {}
    for at, record in enumerate(compared):
        families.setdefault((record.metric, record.k, record.slice == ALL), []).append(at)
    corrected: dict[int, float] = {}
    for members in families.values():
        p = statistics.holm(np.array([compared[at].p for at in members], dtype=np.float64))
        corrected.update(zip(members, p.tolist(), strict=True))
    return [msgspec.structs.replace(record, p_holm=corrected[at]) for at, record in enumerate(compared)]
