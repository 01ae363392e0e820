"""The figures of an evaluation as tables of words, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.records import Metric

Row = tuple[str, int | None]
UNSURE = 0.05
CHANCE = " (not significant)"


@dataclass(frozen=True)
class Table:
    """Cells as they are shown, row by row."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def tables(evaluation: Evaluation) -> list[Table]:
    """All users, slices, comparisons of models, use of interests; each if there is any."""
    made = (of_all(evaluation), of_slices(evaluation), of_comparisons(evaluation), of_interests(evaluation))
    return [table for table in made if table.rows]


def of_all(evaluation: Evaluation) -> Table:
    """A row per metric, a column per model and baseline, and the baselines that are ahead of a model."""
    rows = by_row(evaluation, "all")
    facts = evaluation.facts
    title = f"{facts['split']} split, {facts['protocol']}, seen items {_seen(facts['seen'])}, {facts['users']:,} users"
    return _figures(evaluation, title, "metric", {metric_name(*row): ("all", row) for row in rows})


def of_slices(evaluation: Evaluation) -> Table:
    """A row per slice, one metric."""
    row = main_row(evaluation)
    names = [name for name in evaluation.facts["slices"] if row in by_row(evaluation, name)]
    users = {name: next(iter(by_row(evaluation, name)[row].values())).users for name in names}
    labels = {f"{name} ({users[name]:,} users)": (name, row) for name in names}
    return _figures(evaluation, f"{metric_name(*row)} by slice (the other metrics are in the lines)", "slice", labels)


def _figures(evaluation: Evaluation, title: str, first: str, cells: dict[str, tuple[str, Row]]) -> Table:
    baseline_wins, called = evaluation.baseline_wins(), short_names(evaluation)
    shown = {label: by_row(evaluation, part).get(row, {}) for label, (part, row) in cells.items()}
    # the models of a group are in the lines and on the report's plot: a column each would hide the rest
    names = [
        result.name
        for result in evaluation.results
        if result.role != "member" and any(result.name in row for row in shown.values())
    ]
    verdicts = {
        label: _losses(baseline_wins, (part, *row), evaluation.contenders, called)
        for label, (part, row) in cells.items()
        if row
    }
    losing = any(verdicts.values())
    rows = [
        [
            label,
            *(_cell(row.get(name), plain=name in evaluation.baselines) for name in names),
            *([verdicts[label]] if losing else []),
        ]
        for label, row in shown.items()
    ]
    return Table(title, [first, *(called[name] for name in names), *(["behind"] if losing else [])], rows)


def of_comparisons(evaluation: Evaluation) -> Table:
    """Differences between models and groups; those with baselines are in the column "behind" and in the lines."""
    known, called = set(evaluation.contenders), short_names(evaluation)
    rows = [
        [
            f"{called[record.model]} - {called[record.compared_to]}",
            metric_name(record.metric, record.k),
            interval_text(record.difference, record.ci_low, record.ci_high, signed=True),
            p_value(record.p),
            p_value(record.p_holm),
        ]
        for record in evaluation.records
        if record.compared_to in known and record.slice == "all"
    ]
    return Table("differences with paired 95 % intervals", ["models", "metric", "difference", "p", "p (Holm)"], rows)


def of_interests(evaluation: Evaluation) -> Table:
    """Shares of list places and of hits that each interest brought."""
    shares: dict[tuple[str, str], list[str]] = {}
    called = short_names(evaluation)
    for record in evaluation.records:
        if record.slice.startswith("interest=") and record.compared_to is None:
            shares.setdefault((called[record.model], metric_name(record.metric, record.k)), []).append(
                f"{record.value:.2f}"
            )
    most = max((len(values) for values in shares.values()), default=0)
    rows = [[*key, *values, *[""] * (most - len(values))] for key, values in shares.items()]
    title = "share of the list places, and of the hits, that each interest brought"
    return Table(title, ["model", "metric", *(f"interest {at}" for at in range(most))], rows)


def short_names(evaluation: Evaluation) -> dict[str, str]:
    """Each system by the last parts of its path, as many as tell it from the others."""
    names = [result.name for result in evaluation.results]
    return {name: _tail(name, names) for name in names}


def _tail(name: str, names: Sequence[str]) -> str:
    parts = name.rstrip("/").split("/")
    for length in range(1, len(parts)):
        tail = "/".join(parts[-length:])
        if not any(other != name and f"/{other.rstrip('/')}".endswith(f"/{tail}") for other in names):
            return tail
    return name


def metric_name(metric: str, k: int | None) -> str:
    """ "ndcg@10", or the name alone where there is no cutoff."""
    return metric if k is None else f"{metric}@{k}"


def main_row(evaluation: Evaluation) -> Row:
    """The metric that stands for all where there is room for one: NDCG at the shortest list, else the first."""
    rows = list(by_row(evaluation, "all")) or [(evaluation.records[0].metric, evaluation.records[0].k)]
    return next((row for row in rows if row[0] == "ndcg"), rows[0])


def by_row(evaluation: Evaluation, part: str) -> dict[Row, dict[str, Metric]]:
    rows: dict[Row, dict[str, Metric]] = {}
    for record in evaluation.records:
        if record.compared_to is None and record.slice == part:
            rows.setdefault((record.metric, record.k), {})[record.model] = record
    return rows


def _seen(seen: str) -> str:
    return "dropped" if seen == "drop" else "kept"


def _cell(record: Metric | None, *, plain: bool) -> str:
    if record is None:
        return ""
    if record.ci_low is None or record.ci_high is None or plain:
        return number_text(record.value)
    digits = None if abs(record.value) < 100 else f"{record.spread or 0:,.0f}"
    spread = "" if record.spread is None else f" ± {digits or number_text(record.spread)}"
    return f"{interval_text(record.value, record.ci_low, record.ci_high)}{spread}"


def interval_text(value: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    if value is None or low is None or high is None:
        return ""
    sign = "+" if signed and value > 0 else ""
    return f"{sign}{number_text(value)} [{number_text(low)}, {number_text(high)}]"


def verdict(evaluation: Evaluation, name: str) -> str:
    """How a model's main figure stands to each baseline: better, ahead, behind (both may be chance), or worse."""
    metric, k = main_row(evaluation)
    sorts: dict[str, list[str]] = {}
    for record in evaluation.records:
        if record.compared_to not in evaluation.baselines or record.model != name:
            continue
        if (record.slice, record.metric, record.k) == ("all", metric, k):
            unsure = not significant(record)
            ahead = (record.difference or 0) >= 0
            sort = ("ahead of" if ahead else "behind") if unsure else ("better than" if ahead else "worse than")
            sorts.setdefault(sort, []).append(str(record.compared_to))
    words = [f"{sort} {', '.join(sorts[sort])}" for sort in ("worse than", "better than") if sort in sorts]
    maybe = " and ".join(f"{sort} {', '.join(sorts[sort])}" for sort in ("behind", "ahead of") if sort in sorts)
    return "; ".join([*words, *([f"{maybe} by what may be chance"] if maybe else [])])


def number_text(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"


def p_value(p: float | None) -> str:
    """A p-value as people write it."""
    if p is None:
        return ""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0") if p < 0.9995 else "1"


def _losses(
    baseline_wins: dict[tuple[str, str, int | None, str], list[Metric]],
    row: tuple[str, str, int | None],
    names: Sequence[str],
    called: dict[str, str],
) -> str:
    parts = [(name, baseline_wins[(*row, name)]) for name in names if (*row, name) in baseline_wins]
    if not parts:
        return ""
    if len(names) == 1:
        return others(parts[0][1])
    said = {others(records) for _, records in parts}
    if len(parts) == len(names) and len(said) == 1:
        return f"all: {said.pop()}"
    return "; ".join(f"{called[name]}: {others(records)}" for name, records in parts)


def others(records: Iterable[Metric]) -> str:
    """The baselines by name, and which of them may be ahead by chance."""
    return ", ".join(f"{record.compared_to}{'' if significant(record) else CHANCE}" for record in records)


def significant(record: Metric) -> bool:
    """Whether a difference is more than chance."""
    return record.p_holm is not None and record.p_holm < UNSURE


def main_figures(evaluation: Evaluation) -> list[tuple[str, bool]]:
    """A line for each model with its main figure, and whether a baseline is better by more than chance."""
    row, called = main_row(evaluation), short_names(evaluation)
    values, wins = by_row(evaluation, "all").get(row, {}), evaluation.baseline_wins()
    lines = []
    for name in (name for name in evaluation.contenders if name in values):
        figure = f"{metric_name(*row)} {number_text(values[name].value)}"
        ahead = wins.get(("all", *row, name), [])
        better = [record for record in ahead if significant(record)]
        named = ", ".join(
            f"{record.compared_to} {number_text(values[str(record.compared_to)].value)}" for record in better or ahead
        )
        if better:
            lines.append((f"{called[name]}: {figure}, a baseline is better: {named}", True))
        else:
            behind = f", behind {named}{CHANCE}" if ahead else ""
            lines.append((f"{called[name]}: {figure}{behind}", False))
    return lines
