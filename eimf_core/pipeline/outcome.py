"""How good the model of a run is, in short, and the users whom it answers as examples."""

from __future__ import annotations

from pathlib import Path

from eimf_core.evaluation.metric_format import TextTable, metric_name, metric_text
from eimf_core.io import jsonl
from eimf_core.records import Metric, SequenceOwner

SHOWN = (("ndcg", 10), ("recall", 10))
"""Metrics and cutoffs of the summary, the one that orders it first; those that were not measured are left out."""


def summary(path: Path) -> TextTable:
    """The model and the baselines of an evaluation, best first, each figure with its 95 % interval.

    Args:
        path: the Metric lines of one model and its baselines.
    """
    found: dict[str, dict[tuple[str, int | None], Metric]] = {}
    users = 0
    for line in jsonl.read(path, Metric):
        if line.slice == "all" and line.compared_to is None:
            found.setdefault(line.model, {})[line.metric, line.k] = line
            users = max(users, line.users)
    shown = [key for key in SHOWN if any(key in of for of in found.values())]
    names = sorted(found, key=lambda name: -found[name][shown[0]].value if shown and shown[0] in found[name] else 0.0)
    rows = [
        [Path(name).name, *(metric_text(found[name][key]) if key in found[name] else "" for key in shown)]
        for name in names
    ]
    title = f"How well it ranks what came next, over {users:,} users, best first, with 95 % intervals"
    return TextTable(title, ["", *(metric_name(*key) for key in shown)], rows)


def example_users(path: Path, number: int) -> list[str]:
    """Users of a sequences file, evenly taken: of the latest split that has any."""
    by_split: dict[str, list[str]] = {}
    for line in jsonl.read(path, SequenceOwner):
        by_split.setdefault(line.split, []).append(line.user)
    users = next(by_split[split] for split in ("test", "valid", "train") if split in by_split)
    step = max(1, len(users) // number)
    return users[::step][:number]
