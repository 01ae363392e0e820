"""The figures of an evaluation as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eimf_cli import terminal

if TYPE_CHECKING:
    from eimf_core.evaluation.evaluate import Evaluation
    from eimf_core.evaluation.metric_format import TextTable

BESIDE = 3
"""What the frame of a table takes for each column."""
FIRST = 34
"""A longer cell of the first column is folded."""


def metrics_table(evaluation: Evaluation, *, to_stderr: bool = False) -> None:
    """What was measured: all users, slices, comparisons of models, use of interests."""
    from eimf_core.evaluation import result_tables

    for table in result_tables.tables(evaluation):
        show(table, to_stderr=to_stderr)


def show(table: TextTable, *, to_stderr: bool = False) -> None:
    """Print a table, in parts below each other where it is wider than the terminal."""
    from eimf_core.evaluation.metric_format import panels

    needs = [BESIDE + max(len(name), *(len(row[at]) for row in table.rows)) for at, name in enumerate(table.columns)]
    needs[0] = 1 + min(needs[0], FIRST)
    for number, places in enumerate(panels(needs, terminal.width(to_stderr=to_stderr))):
        columns = [table.columns[at] for at in places]
        rows = [[row[at] for at in places] for row in table.rows]
        terminal.table("" if number else table.title, columns, rows, to_stderr=to_stderr)
