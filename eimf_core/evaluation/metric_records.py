"""From values per user to figures: means, intervals, paired comparisons, and the records that say all this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product

import numpy as np

from eimf_core.evaluation import statistics
from eimf_core.evaluation.measure import MetricColumn
from eimf_core.evaluation.metrics.aggregate_metrics import AGGREGATES, jackknife_interval
from eimf_core.evaluation.metrics.interest_metrics import SHARES, shares
from eimf_core.evaluation.slice_bootstrap import ALL, BootstrappedSlice, EvalSlice, Sampling
from eimf_core.evaluation.system_results import SystemResult
from eimf_core.records import Metric

MakeRecord = Callable[..., Metric]
"""`Metric` with the fields that every record of an evaluation repeats."""


def records(
    results: Sequence[SystemResult],
    columns: Sequence[MetricColumn],
    wanted: Sequence[str],
    parts: Sequence[EvalSlice],
    record: MakeRecord,
    sampling: Sampling,
) -> list[Metric]:
    """Every figure of every result, slice by slice, then every comparison.

    Args:
        results: of the systems, with the same users and columns.
        columns: what their values are.
        wanted: names of the metrics.
        parts: the slices.
        record: makes a Metric with the fields that all share.
        sampling: how intervals and p-values are found.

    Returns:
        The figures, then the comparisons.
    """
    figures: list[Metric] = []
    compared: list[Metric] = []
    for number, part in enumerate(parts):
        sample = BootstrappedSlice(results, part, sampling, number)
        for at, result in enumerate(results):
            if sample.users:
                figures += _means(result, at, sample, columns, record)
            if part.name == ALL:
                figures += _aggregates(result, wanted, len(part.users), record)
                figures += _shares(result, wanted, len(part.users), record, sampling)
        if not sample.users:
            continue
        compared += _comparisons(results, sample, columns, record, sampling, number)
    return figures + _with_holm(compared)


def _means(
    result: SystemResult, at: int, sample: BootstrappedSlice, columns: Sequence[MetricColumn], record: MakeRecord
) -> Iterator[Metric]:
    for place, plan_column in enumerate(sample.part.columns):
        index = sample.column(at, place)
        users = int(sample.valid[:, index].sum())
        if not users:
            continue
        low, high = statistics.interval(sample.resampled[:, index])
        column = columns[plan_column]
        yield record(
            metric=column.metric,
            k=column.k,
            value=float(sample.means[index]),
            ci_low=float(low),
            ci_high=float(high),
            users=users,
            slice=sample.part.name,
            spread=sample.spread(result.members, place),
            **_of_system(result),
        )


def _aggregates(result: SystemResult, wanted: Sequence[str], users: int, record: MakeRecord) -> Iterator[Metric]:
    """Figures of the lists of all users together; a group has the mean of its models."""
    for k, members in result.aggregates.items():
        for name in (name for name in wanted if name in AGGREGATES):
            found = [member[name] for member in members]
            value = float(np.mean([figure.value for figure in found]))
            low, high = jackknife_interval(value, np.mean([figure.influence for figure in found], axis=0), users)
            spread = float(np.std([figure.value for figure in found], ddof=1)) if len(found) > 1 else None
            yield record(
                metric=name,
                k=k,
                value=value,
                ci_low=low,
                ci_high=high,
                spread=spread,
                users=users,
                **_of_system(result),
            )


def _shares(
    result: SystemResult, wanted: Sequence[str], users: int, record: MakeRecord, sampling: Sampling
) -> Iterator[Metric]:
    """What each interest brought; the bootstrap draws users, with all their places and hits."""
    use = result.interest_use
    parts = [(k, name) for k in result.aggregates for name in wanted if name in SHARES]
    if use is None or not parts:
        return
    counts = np.concatenate([SHARES[name](use, k) for k, name in parts], axis=1)
    number = statistics.resamples_for(users, sampling.resamples)
    resampled = statistics.bootstrap_means(
        counts.astype(np.float32), number, sampling.generator(2, 0), sampling.threads
    ).reshape(number, len(parts), -1)
    with np.errstate(invalid="ignore"):
        resampled = np.nan_to_num(resampled / resampled.sum(axis=2, keepdims=True))
    low, high = statistics.interval(resampled)
    for at, (k, name) in enumerate(parts):
        for interest, share in enumerate(shares(SHARES[name](use, k))):
            yield record(
                metric=name,
                k=k,
                value=float(share),
                ci_low=float(low[at, interest]),
                ci_high=float(high[at, interest]),
                users=users,
                slice=f"interest={interest}",
                **_of_system(result),
            )


def _of_system(result: SystemResult) -> dict[str, object]:
    return {"model": result.name, "group": result.group, "seed": result.seed, "seeds": result.seeds}


def pairs(results: Sequence[SystemResult]) -> list[tuple[int, int]]:
    """Which results are compared: every model or group with those before it and with every baseline."""
    contenders = [at for at, result in enumerate(results) if result.role in ("model", "group")]
    baselines = [at for at, result in enumerate(results) if result.role == "baseline"]
    return [(later, earlier) for earlier, later in combinations(contenders, 2)] + list(product(contenders, baselines))


def _comparisons(
    results: Sequence[SystemResult],
    sample: BootstrappedSlice,
    columns: Sequence[MetricColumn],
    record: MakeRecord,
    sampling: Sampling,
    number: int,
) -> list[Metric]:
    made = []
    compared = [
        (first, second, place)
        for first, second in pairs(results)
        for place in range(sample.width)
        if sample.valid[:, sample.column(first, place)].all() and sample.valid[:, sample.column(second, place)].all()
    ]
    if not compared:
        return []
    left = [sample.column(first, place) for first, _, place in compared]
    right = [sample.column(second, place) for _, second, place in compared]
    low, high = statistics.interval(sample.resampled[:, left] - sample.resampled[:, right])
    differences = sample.values[:, left] - sample.values[:, right]
    detectable = statistics.detectable(differences)
    p = statistics.randomisation_p(
        differences,
        statistics.resamples_for(sample.users, sampling.resamples),
        sampling.generator(1, number),
        sampling.threads,
    )
    for at, (first, second, place) in enumerate(compared):
        column = columns[sample.part.columns[place]]
        made.append(
            record(
                metric=column.metric,
                k=column.k,
                value=float(sample.means[left[at]]),
                users=sample.users,
                slice=sample.part.name,
                **_of_system(results[first]),
                compared_to=results[second].name,
                difference=float(sample.means[left[at]] - sample.means[right[at]]),
                difference_ci_low=float(low[at]),
                difference_ci_high=float(high[at]),
                detectable=None if np.isnan(detectable[at]) else float(detectable[at]),
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
