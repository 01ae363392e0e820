"""What stands on the report: tables and examples as plain data, and the plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eimf_core.evaluation import eval_users, metric_format, previous_report, result_tables
from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.metrics.accuracy import ACCURACY
from eimf_core.evaluation.report import interest_map, plots, run_facts, sampled_users, tables, unrecommended_items
from eimf_core.evaluation.scorers import ModelSystem


def page(evaluation: Evaluation, sidecar: dict[str, Any], command: str) -> dict[str, Any]:
    """Everything the template needs.

    Args:
        evaluation: what was measured.
        sidecar: its provenance.
        command: the command line that makes the page again.

    Returns:
        Values by the names that `page.html` uses.
    """
    row = result_tables.main_row(evaluation)
    called = result_tables.short_names(evaluation)
    sample = sampled_users.draw(evaluation, _shown(evaluation))
    interests = interest_map.named_interests(evaluation, sample)
    facts = evaluation.facts
    return {
        "facts": facts,
        "seen": "dropped" if facts["seen"] == "drop" else "kept",
        "left_out": eval_users.reasons_text(facts["left_out"], facts["split"]),
        "models": [called[name] for name in evaluation.contenders],
        "shown": called[sample.system.name],
        "drawn": len(sample.users),
        "accuracy": row[0] in ACCURACY,
        "main": metric_format.metric_name(*row),
        "verdicts": _verdicts(evaluation, called),
        "smallest_shown": result_tables.smallest_shown(evaluation),
        "summary_plot": plots.figures(evaluation, row),
        "systems": tables.of_systems(evaluation),
        "seeds": any(result.role == "group" for result in evaluation.results),
        "shares": tables.of_interests(evaluation),
        "previous": evaluation.previous,
        "since": result_tables.since_previous(evaluation),
        "comparisons": tables.of_comparisons(evaluation),
        "comparison_plot": plots.comparisons(evaluation),
        "curves": plots.curves(_epochs(called, evaluation.systems)),
        "slices": tables.of_slices(evaluation),
        "slices_plot": plots.slices(evaluation, row) if row[0] in ACCURACY else None,
        "map": interest_map.item_map(evaluation, sample, interests),
        "interests": interests,
        "labelled": bool(sample.system.model.named),
        "never": unrecommended_items.unrecommended_items(evaluation, sample.system.name),
        "examples": sampled_users.examples(evaluation, sample),
        "run": run_facts.run_facts(evaluation, sidecar, command),
        "lines": previous_report.figures_as_lines(evaluation.records),
    }


def _shown(evaluation: Evaluation) -> ModelSystem:
    """The model that is shown from inside: one that was trained with labels, whose names say more, then the best."""
    values = result_tables.by_row(evaluation, "all").get(result_tables.main_row(evaluation), {})
    figures = {name: record.value for name, record in values.items()}
    return min(evaluation.systems, key=lambda system: (not system.model.named, -figures.get(system.name, 0.0)))


def _epochs(called: dict[str, str], systems: Sequence[ModelSystem]) -> dict[str, list[dict[str, Any]]]:
    """What training wrote of each model, of an ensemble of each member, by the name it is shown by."""
    found: dict[str, list[dict[str, Any]]] = {}
    for system in systems:
        for line in system.model.epochs:
            member = f", {line['member']}. {line['backbone']}" if "member" in line else ""
            found.setdefault(f"{called[system.name]}{member}", []).append(line)
    return found


def _verdicts(evaluation: Evaluation, called: dict[str, str]) -> list[tuple[str, str, bool]]:
    """Each model with its figure and how it stands to the baselines, and whether one is better by more than chance."""
    values = result_tables.by_row(evaluation, "all").get(result_tables.main_row(evaluation), {})
    made = []
    for name in (name for name in tables.ordered(evaluation) if name in evaluation.contenders and name in values):
        said = result_tables.verdict(evaluation, name)
        figure = metric_format.metric_text(values[name])
        made.append((called[name], f"{figure}{said and f'; {said}'}", said.startswith("worse than")))
    return made
