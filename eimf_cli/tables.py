"""Results as tables for people: the figures of an evaluation, recommendations with their reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from eimf_cli import terminal

if TYPE_CHECKING:
    from eimf_core.evaluation.run import Evaluation
    from eimf_core.records import Metric, Recommendation, UserInterest


def metrics_table(evaluation: Evaluation, *, to_stderr: bool = False) -> None:
    """One table per slice: a row per metric, a column per model and baseline, and who loses to a baseline."""
    shown = [record for record in evaluation.records if record.compared_to is None]
    names = list(dict.fromkeys(record.model for record in shown))
    lost = evaluation.lost
    for part in dict.fromkeys(record.slice for record in shown):
        rows: dict[tuple[str, int | None], dict[str, Metric]] = {}
        for record in shown:
            if record.slice == part:
                rows.setdefault((record.metric, record.k), {})[record.model] = record
        present = [name for name in names if any(name in row for row in rows.values())]
        any_lost = any((part, *key, name) in lost for key in rows for name in present)
        terminal.table(
            _title(evaluation, part, rows.values()),
            ["metric", *present, *(["loses to"] if any_lost else [])],
            [
                [
                    metric if k is None else f"{metric}@{k}",
                    *(_cell(row.get(name), evaluation) for name in present),
                    *([_losses(lost, (part, metric, k), present)] if any_lost else []),
                ]
                for (metric, k), row in rows.items()
            ],
            to_stderr=to_stderr,
        )


def _title(evaluation: Evaluation, part: str, rows: Iterable[dict[str, Metric]]) -> str:
    users = max(record.users for row in rows for record in row.values())
    facts = evaluation.facts
    what = f"{facts['split']} split, {facts['protocol']}, seen items {'dropped' if facts['seen'] == 'drop' else 'kept'}"
    return f"{what}, {users:,} users" if part == "all" else f"{part}: {users:,} users"


def _cell(record: Metric | None, evaluation: Evaluation) -> str:
    if record is None:
        return ""
    figure = f"{record.value:.4f}" if abs(record.value) < 100 else f"{record.value:,.0f}"
    if record.ci_low is None or record.ci_high is None or record.model in evaluation.baselines:
        return figure
    if abs(record.value) >= 100:
        return f"{figure} [{record.ci_low:,.0f}, {record.ci_high:,.0f}]"
    return f"{figure} [{record.ci_low:.4f}, {record.ci_high:.4f}]"


def _losses(
    lost: dict[tuple[str, str, int | None, str], list[str]], row: tuple[str, str, int | None], names: list[str]
) -> str:
    parts = [(name, lost[(*row, name)]) for name in names if (*row, name) in lost]
    if len(parts) == 1 and len(names) > 1 and len({key[3] for key in lost}) == 1:
        return ", ".join(parts[0][1])
    return "; ".join(f"{name} to {', '.join(others)}" for name, others in parts)


def recommendation_table(answer: Recommendation) -> None:
    """Rank, item, title, score, the interest that brought it and the history items behind that interest."""
    names = {interest.index: interest for interest in answer.interests}
    with_anchors = any(interest.anchors for interest in answer.interests)
    rows = []
    for item in answer.items:
        interest = None if item.interest is None else names[item.interest]
        row = [str(item.rank), item.item, item.title, f"{item.score:.4f}", _interest_name(interest)]
        rows.append([*row, *([_anchors(interest)] if with_anchors else [])])
    columns = ["rank", "item", "title", "score", "interest", *(["because of"] if with_anchors else [])]
    terminal.table(_answer_title(answer), columns, rows)


def _answer_title(answer: Recommendation) -> str:
    what = f"{answer.id}: {len(answer.items)} items"
    return f"{what}, by {answer.fallback}: nothing of the history is known" if answer.fallback else what


def _interest_name(interest: UserInterest | None) -> str:
    if interest is None:
        return ""
    if interest.name is None or interest.similarity is None:
        return f"interest {interest.index}"
    return f"{interest.name} ({interest.similarity:.2f})"


def _anchors(interest: UserInterest | None) -> str:
    return "" if interest is None else "; ".join(anchor.title for anchor in interest.anchors)
