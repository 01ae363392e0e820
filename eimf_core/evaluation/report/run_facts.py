"""What a reader needs to do the evaluation again: command, seed, settings, data, versions."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eimf_core.evaluation import result_tables
from eimf_core.evaluation.evaluate import Evaluation

Pairs = list[tuple[str, str]]
HASH = 16


@dataclass(frozen=True)
class RunFacts:
    """Words in pairs of name and value; `models` by the name that each is shown by."""

    command: str
    settings: Pairs
    data: Pairs
    files: Pairs
    versions: Pairs
    models: list[tuple[str, Pairs]]


def run_facts(evaluation: Evaluation, sidecar: dict[str, Any], command: str) -> RunFacts:
    """The content of the section.

    Args:
        evaluation: what was measured.
        sidecar: its provenance.
        command: the command line.

    Returns:
        What the page shows, as words.
    """
    called = result_tables.short_names(evaluation)
    hidden = {"paths", "threads"}
    return RunFacts(
        command=command,
        settings=[(_words(name), _value(value)) for name, value in sidecar["arguments"].items() if name not in hidden],
        data=_data(evaluation),
        files=[(path, (known or "")[:HASH]) for path, known in sidecar["inputs"].items()],
        versions=list(sidecar["versions"].items()),
        models=[(called[system.name], _model(system.model)) for system in evaluation.systems],
    )


def _data(evaluation: Evaluation) -> Pairs:
    """What prepare told of the data, as far as it did."""
    facts = evaluation.dataset.facts
    made: Pairs = [("folder", str(evaluation.dataset.directory)), ("items", f"{len(evaluation.dataset.items):,}")]
    made.append(("training lines", f"{len(evaluation.dataset.splits['train']):,} users"))
    made.append(("training interactions", f"{int(evaluation.dataset.counts().sum()):,}"))
    if isinstance(known := facts.get("format"), list):
        made.append(("format", ", ".join(map(str, known))))
    report = facts.get("report")
    period = report.get("period") if isinstance(report, dict) else None
    if facts.get("times") == "seconds" and isinstance(period, Sequence) and len(period) == 2:
        made.append(("period", " to ".join(day for at in period if (day := _day(at)))))
    for name in ("valid_from", "test_from"):
        if day := _day(facts.get(name)):
            made.append((_words(name), day))
    return made


def _day(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return ""


def _model(model: Any) -> Pairs:
    """How a model was trained."""
    facts = model.provenance.get("facts") or {}
    summary = facts.get("summary") or {}
    made: Pairs = [("backbone", model.config.backbone), ("seed", str(model.config.seed))]
    if isinstance(seconds := summary.get("seconds"), int | float):
        made.append(("trained for", f"{seconds:,.0f} s"))
    if isinstance(best := summary.get("ndcg"), int | float):
        made.append(("validation NDCG@10", f"{best:.4f}"))
    known = {name for name, _ in made}
    return made + [(_words(name), _value(value)) for name, value in model.config.training.items() if name not in known]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"
