"""How good the model of a run is, in short, and the users whom it answers as examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eimf_core import jsonl
from eimf_core.records import Metric, Sequence

SHOWN = (("recall", 10), ("ndcg", 10), ("recall", 20))
"""Metrics and cutoffs of the summary; those that were not measured are left out."""
NAMES = {"ndcg": "NDCG"}


class Figure(NamedTuple):
    """A figure and the bounds of its interval over users, None where it has none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Summary:
    """Figures of the model and the baselines, best NDCG first.

    Attributes:
        users: that were measured.
        columns: metrics, such as "recall@10".
        rows: name and figures of each, a figure with its 95 % interval; None where one was not measured.
    """

    users: int
    columns: list[str]
    rows: list[tuple[str, list[Figure | None]]]


def summary(path: Path) -> Summary:
    """The summary of the Metric lines of one model and its baselines."""
    values: dict[str, dict[tuple[str, int | None], Figure]] = {}
    users = 0
    for line in jsonl.read(path, Metric):
        if line.slice == "all" and line.compared_to is None:
            values.setdefault(line.model, {})[line.metric, line.k] = Figure(line.value, line.ci_low, line.ci_high)
            users = max(users, line.users)
    shown = [key for key in SHOWN if any(key in found for found in values.values())]
    rows = [(name, [found.get(key) for key in shown]) for name, found in values.items()]
    first = shown.index(("ndcg", 10)) if ("ndcg", 10) in shown else 0
    rows.sort(key=lambda row: -(figure.value if row[1] and (figure := row[1][first]) else 0.0))
    return Summary(users, [f"{NAMES.get(metric, metric)}@{k}" for metric, k in shown], rows)


def example_users(path: Path, number: int) -> list[str]:
    """Users of a sequences file, evenly taken: of the latest split that has any."""
    by_split: dict[str, list[str]] = {}
    for line in jsonl.read(path, Sequence):
        by_split.setdefault(line.split, []).append(line.user)
    users = next(by_split[split] for split in ("test", "valid", "train") if split in by_split)
    step = max(1, len(users) // number)
    return users[::step][:number]
