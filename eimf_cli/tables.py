"""The figures of an evaluation as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eimf_cli import terminal

if TYPE_CHECKING:
    from eimf_core.evaluation.run import Evaluation


def metrics_table(evaluation: Evaluation, *, to_stderr: bool = False) -> None:
    """What was measured: all users, slices, comparisons of models, use of interests."""
    from eimf_core.evaluation import summary

    for table in summary.tables(evaluation):
        terminal.table(table.title, table.columns, table.rows, to_stderr=to_stderr)
