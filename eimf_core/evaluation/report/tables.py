"""The tables of the report: a figure with its interval below it, systems from the best to the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eimf_core.evaluation import metric_format, result_tables
from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.metric_format import number_text, panels
from eimf_core.evaluation.metrics.accuracy import ACCURACY
from eimf_core.records import Metric

SCREEN, PADDING = 1200, 26
"""Pixels that a table may take where a page of 1,280 shows it, and what a column takes beside its words."""
HEADING, TEXT, SMALL = 9.5, 9.0, 7.0
"""Pixels of a letter, a little more than browsers take."""


@dataclass(frozen=True)
class Cell:
    """What stands in a cell: large, and small in lines below it. `kind`: "" or a class of the page's style."""

    text: str
    below: str = ""
    kind: str = ""


@dataclass(frozen=True)
class PageTable:
    """Rows of cells under columns; `title` may be empty."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]


def ordered(evaluation: Evaluation) -> list[str]:
    """Models, groups and baselines by name, the most accurate first; as they came where accuracy was not measured."""
    row = result_tables.main_row(evaluation)
    values = result_tables.by_row(evaluation, "all").get(row, {}) if row[0] in ACCURACY else {}
    names = [result.name for result in evaluation.results if result.role != "member"]
    return sorted(names, key=lambda name: -values[name].value if name in values else 0.0)


def of_systems(evaluation: Evaluation) -> list[PageTable]:
    """A row for each system, a column for each metric; a further table where they are too many for one."""
    labels, called = result_tables.metric_rows(evaluation), result_tables.short_names(evaluation)
    names = [name for name in ordered(evaluation) if any(name in row for row in _by_metric(evaluation).values())]
    rows = [
        [
            Cell(called[name], "baseline" if name in evaluation.baselines else "", _kind(evaluation, name)),
            *(_figure(_by_metric(evaluation)[row].get(name)) for row, _ in labels),
        ]
        for name in names
    ]
    return _side_by_side(PageTable("", ["", *(label for _, label in labels)], rows))


def _side_by_side(table: PageTable) -> list[PageTable]:
    """A table in parts that fit on the screen, the first column in front of each."""
    needs = [_width(name, [row[at] for row in table.rows]) for at, name in enumerate(table.columns)]
    return [
        PageTable(table.title, [table.columns[at] for at in part], [[row[at] for at in part] for row in table.rows])
        for part in panels(needs, SCREEN)
    ]


def _width(name: str, cells: Sequence[Cell]) -> float:
    """Pixels that a column takes; a heading may break at its spaces."""
    words = [HEADING * max(map(len, name.split()), default=0)]
    words += [TEXT * len(cell.text) for cell in cells]
    words += [SMALL * len(line) for cell in cells for line in cell.below.splitlines()]
    return max(words) + PADDING


def of_slices(evaluation: Evaluation) -> list[PageTable]:
    """The main metric by slice, a column for each system; what a baseline is better at by more than chance is told."""
    row, called = result_tables.main_row(evaluation), result_tables.short_names(evaluation)
    wins = evaluation.baseline_wins()
    names = ordered(evaluation)
    rows = []
    for part in evaluation.facts["slices"]:
        records = result_tables.by_row(evaluation, part).get(row, {})
        if not records:
            continue
        cells = []
        for name in names:
            lost = [record for record in wins.get((part, *row, name), []) if result_tables.significant(record)]
            cells.append(_figure(records.get(name), worse_than=[str(record.compared_to) for record in lost]))
        users = next(iter(records.values())).users
        rows.append([Cell(part, f"{users:,} users"), *cells])
    return _side_by_side(PageTable("", ["", *(called[name] for name in names)], rows)) if rows else []


def of_comparisons(evaluation: Evaluation) -> PageTable | None:
    """The differences in the main metric, models first, each with what is to be said of it."""
    called = result_tables.short_names(evaluation)
    records = sorted(
        result_tables.of_main_row(evaluation), key=lambda record: record.compared_to in evaluation.baselines
    )
    rows = []
    for record in records:
        decided = result_tables.significant(record)
        words = ("better", "worse") if record.metric in ACCURACY else ("higher", "lower")
        word = "may be chance" if not decided else words[(record.difference or 0) < 0]
        rows.append(
            [
                Cell(f"{called[record.model]} - {called[str(record.compared_to)]}"),
                Cell(*_difference(record)),
                Cell(metric_format.p_value(record.p_holm)),
                Cell(word, kind={"better": "hit", "worse": "bad"}.get(word, "quiet")),
                Cell("" if record.detectable is None else number_text(record.detectable)),
            ]
        )
    return PageTable("", ["", "difference", "p (Holm)", "", "detectable"], rows) if rows else None


def of_interests(evaluation: Evaluation) -> PageTable | None:
    """The shares of list places and of hits that each interest brought."""
    table = result_tables.of_interests(evaluation)
    if not table.rows:
        return None
    return PageTable(table.title, table.columns, [[Cell(cell) for cell in row] for row in table.rows])


def _by_metric(evaluation: Evaluation) -> dict[result_tables.MetricRow, dict[str, Metric]]:
    return result_tables.by_row(evaluation, "all")


def _kind(evaluation: Evaluation, name: str) -> str:
    return "quiet" if name in evaluation.baselines else "model"


def _figure(record: Metric | None, *, worse_than: Sequence[str] = ()) -> Cell:
    if record is None:
        return Cell("")
    below = []
    if record.ci_low is not None and record.ci_high is not None:
        below.append(f"{number_text(record.ci_low)} to {number_text(record.ci_high)}")
    if record.spread is not None:
        below.append(f"± {number_text(record.spread)}")
    below += [f"worse than {name}" for name in worse_than]
    return Cell(number_text(record.value), "\n".join(below), "bad" if worse_than else "")


def _difference(record: Metric) -> tuple[str, str]:
    value, low, high = record.difference or 0.0, record.difference_ci_low, record.difference_ci_high
    bounds = "" if low is None or high is None else f"{number_text(low)} to {number_text(high)}"
    return f"{'+' if value > 0 else ''}{number_text(value)}", bounds
