"""The figures of an evaluation as tables of words, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.metric_format import (
    TextTable,
    difference_text,
    metric_name,
    metric_text,
    number_text,
    p_value,
)
from eimf_core.evaluation.metrics.accuracy import ACCURACY
from eimf_core.records import Metric

MetricRow = tuple[str, int | None]
UNSURE = 0.05
CHANCE = " (may be chance)"


def tables(evaluation: Evaluation) -> list[TextTable]:
    """All users, slices, comparisons of models, use of interests; each if there is any."""
    made = (
        of_all(evaluation),
        of_slices(evaluation),
        of_comparisons(evaluation),
        since_previous(evaluation),
        of_interests(evaluation),
    )
    return [table for table in made if table.rows]


def of_all(evaluation: Evaluation) -> TextTable:
    """A row per metric, a column per model and baseline, and the baselines that are ahead of a model."""
    facts = evaluation.facts
    spread = "; ± over seeds" if any(result.role == "group" for result in evaluation.results) else ""
    title = (
        f"{facts['split']} split, {facts['protocol']}, seen items {_seen(facts['seen'])}, {facts['users']:,} users"
        f" [95 % over users{spread}]"
    )
    return _figures(evaluation, title, "metric", {label: ("all", row) for row, label in metric_rows(evaluation)})


def of_slices(evaluation: Evaluation) -> TextTable:
    """A row per slice, one metric."""
    row = main_row(evaluation)
    names = [name for name in evaluation.facts["slices"] if row in by_row(evaluation, name)]
    users = {name: next(iter(by_row(evaluation, name)[row].values())).users for name in names}
    labels = {f"{name} ({users[name]:,} users)": (name, row) for name in names}
    return _figures(evaluation, f"{metric_name(*row)} by slice (the other metrics are in the lines)", "slice", labels)


def _figures(evaluation: Evaluation, title: str, first: str, cells: dict[str, tuple[str, MetricRow]]) -> TextTable:
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
    return TextTable(title, [first, *(called[name] for name in names), *(["behind"] if losing else [])], rows)


def of_comparisons(evaluation: Evaluation) -> TextTable:
    """Differences between models and groups; those with baselines are in the column "behind" and in the lines."""
    known, called, labels = set(evaluation.contenders), short_names(evaluation), dict(metric_rows(evaluation))
    rows = [
        [
            f"{called[record.model]} - {called[record.compared_to]}",
            labels[record.metric, record.k],
            difference_text(record),
            p_value(record.p),
            p_value(record.p_holm),
            "" if record.detectable is None else number_text(record.detectable),
        ]
        for record in evaluation.records
        if record.compared_to in known and record.slice == "all" and (record.metric, record.k) in labels
    ]
    columns = ["models", "metric", "difference [paired 95 %]", "p", "p (Holm)", "detectable"]
    return TextTable("differences; detectable: the least that so many users show four times in five", columns, rows)


def since_previous(evaluation: Evaluation) -> TextTable:
    """What changed since a previous evaluation: models in all metrics, baselines in the main one."""
    previous, called = evaluation.previous, short_names(evaluation)
    rows, labels, main = [], metric_rows(evaluation), main_row(evaluation)
    for name in [*evaluation.contenders, *evaluation.baselines] if previous else []:
        for row, label in labels:
            record = by_row(evaluation, "all")[row].get(name)
            theirs = previous.counterpart(name, evaluation.contenders) if previous else name
            then = previous.figures.get((theirs, *row)) if previous else None
            if record is None or then is None or (name in evaluation.baselines and row != main):
                continue
            change = record.value - then.value
            sign = "+" if change > 0 else ""
            shown = called[name] if theirs == name else f"{called[name]} (then {theirs})"
            rows.append([shown, label, metric_text(then), metric_text(record), f"{sign}{number_text(change)}"])
    unlike = f"; {evaluation.data_differences_to_previous}" if evaluation.data_differences_to_previous else ""
    title = f"since {previous.name}{unlike}" if previous else ""
    return TextTable(title, ["model", "metric", "then", "now", "change"], rows)


def of_interests(evaluation: Evaluation) -> TextTable:
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
    return TextTable(title, ["model", "metric", *(f"interest {at}" for at in range(most))], rows)


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


def metric_rows(evaluation: Evaluation) -> list[tuple[MetricRow, str]]:
    """Each metric and cutoff with its label; accuracy that is the same figure throughout shares one row.

    With one target a user, hit rate is recall, and MAP is MRR.
    """
    kept: dict[tuple[object, ...], tuple[MetricRow, list[str]]] = {}
    for row, records in by_row(evaluation, "all").items():
        metric, k = row
        figures = [(name, record.value, record.ci_low, record.ci_high) for name, record in records.items()]
        key = (k, *figures) if metric in ACCURACY and any(value for _, value, _, _ in figures) else row
        kept.setdefault(key, (row, []))[1].append(metric)
    return [
        (row, " = ".join([metric_name(*row), *(metric_name(other, None) for other in others)]))
        for row, (_, *others) in kept.values()
    ]


def main_row(evaluation: Evaluation) -> MetricRow:
    """The metric that stands for all where there is room for one: NDCG at the shortest list, else the first."""
    rows = list(by_row(evaluation, "all")) or [(evaluation.records[0].metric, evaluation.records[0].k)]
    return next((row for row in rows if row[0] == "ndcg"), rows[0])


def by_row(evaluation: Evaluation, part: str) -> dict[MetricRow, dict[str, Metric]]:
    """The figures of a slice; comparisons are left out.

    Args:
        evaluation: of which.
        part: the name of the slice, "all" for all users.

    Returns:
        By metric and cutoff, in the order of the records, and in each by the name of the system.
    """
    rows: dict[MetricRow, dict[str, Metric]] = {}
    for record in evaluation.records:
        if record.compared_to is None and record.slice == part:
            rows.setdefault((record.metric, record.k), {})[record.model] = record
    return rows


def _seen(seen: str) -> str:
    return "dropped" if seen == "drop" else "kept"


def _cell(record: Metric | None, *, plain: bool) -> str:
    if record is None:
        return ""
    return number_text(record.value) if plain else metric_text(record)


def verdict(evaluation: Evaluation, name: str) -> str:
    """How a model's main figure stands to the baselines, those with a higher one first, with their figures; nothing
    where accuracy was not measured."""
    if main_row(evaluation)[0] not in ACCURACY:
        return ""
    values = by_row(evaluation, "all").get(main_row(evaluation), {})
    standings: dict[str, list[str]] = {"worse than": [], "behind": [], "better than": [], "ahead of": []}
    for record in of_main_row(evaluation):
        if record.model == name and record.compared_to in evaluation.baselines:
            ahead = (record.difference or 0) >= 0
            decided = significant(record)
            standing = ("better than" if ahead else "worse than") if decided else ("ahead of" if ahead else "behind")
            theirs = values.get(record.compared_to)
            figure = "" if ahead or theirs is None else f" {number_text(theirs.value)}"
            standings[standing].append(f"{record.compared_to}{figure}")
    return "; ".join(
        f"{standing} {', '.join(names)}{CHANCE if standing in ('behind', 'ahead of') else ''}"
        for standing, names in standings.items()
        if names
    )


def of_main_row(evaluation: Evaluation) -> list[Metric]:
    """The comparisons of the main metric, over all users."""
    row = main_row(evaluation)
    return [
        record
        for record in evaluation.records
        if record.compared_to is not None and record.slice == "all" and (record.metric, record.k) == row
    ]


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


def closing_lines(evaluation: Evaluation) -> list[str]:
    """How good each model is, in a line; how large a difference so many users show, where one may be chance; and what
    changed since a previous evaluation."""
    row, called = main_row(evaluation), short_names(evaluation)
    values = by_row(evaluation, "all").get(row, {})
    lines = []
    for name in (name for name in evaluation.contenders if name in values):
        said = verdict(evaluation, name)
        lines.append(f"{called[name]}: {metric_name(*row)} {metric_text(values[name])}{said and f'; {said}'}")
    if (least := smallest_shown(evaluation)) is not None:
        lines.append(least)
    return lines + change_lines(evaluation)


def change_lines(evaluation: Evaluation) -> list[str]:
    """The change of each model in the main metric, in a line, or that a previous evaluation has none of them."""
    if evaluation.previous is None:
        return []
    table, main = since_previous(evaluation), dict(metric_rows(evaluation)).get(main_row(evaluation))
    theirs = [short_names(evaluation)[name] for name in evaluation.baselines]
    found = [(row[0], row[-1]) for row in table.rows if row[1] == main and row[0] not in theirs]
    if not found:
        return [f"{evaluation.previous.name}: holds no {main} of a model that is evaluated now; nothing is compared"]
    return [f"{name}: {main} {change} {table.title}" for name, change in found]


def smallest_shown(evaluation: Evaluation) -> str | None:
    """How large a difference must be to be seen; None where all comparisons are decided."""
    sizes = sorted(
        record.detectable for record in of_main_row(evaluation) if record.detectable and not significant(record)
    )
    if not sizes:
        return None
    low, high = number_text(sizes[0]), number_text(sizes[-1])
    span = low if low == high else f"{low} to {high}, by pair,"
    users, named = evaluation.facts["users"], metric_name(*main_row(evaluation))
    return f"with {users:,} users, {named} must differ by {span} to be told from chance four times in five"
