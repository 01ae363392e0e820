"""One evaluation: model directories and a prepared directory in, Metric records out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eimf_core import dataset as data
from eimf_core import provenance
from eimf_core.errors import ConfigError, InputError
from eimf_core.evaluation import baselines, metric_records, seed_groups, slices, tie_breaking
from eimf_core.evaluation import eval_users as of_cases
from eimf_core.evaluation import list_metrics as of_lists
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.measure import Plan, measure
from eimf_core.evaluation.metric_records import ALL, Entry
from eimf_core.evaluation.metrics import ACCURACY
from eimf_core.evaluation.scorers import ModelSystem
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Metric, UserMetrics
from eimf_core.threads import cores
from eimf_core.threads import default as default_threads


@dataclass(frozen=True)
class Evaluation:
    """What came out: `records` (figures first, then comparisons), `facts` for the sidecar.

    `entries` are the models, groups and baselines in the order of the records, `systems` the opened
    models; with `dataset`, `cases` and `plan` they are there for whoever wants to look closer.
    """

    records: list[Metric]
    entries: list[Entry]
    systems: list[ModelSystem]
    dataset: data.Dataset
    cases: of_cases.Cases
    plan: Plan
    facts: dict[str, Any]
    inputs: list[str | Path]

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines."""
        return [entry.name for entry in self.entries if entry.role == "baseline"]

    @property
    def contenders(self) -> list[str]:
        """Names of what is compared with them: groups, and models that are in no group."""
        return [entry.name for entry in self.entries if entry.role in ("model", "group")]

    def lost(self) -> dict[tuple[str, str, int | None, str], list[Metric]]:
        """The comparisons with a baseline that is better, by (slice, metric, k, model); accuracy only."""
        known = set(self.baselines)
        found: dict[tuple[str, str, int | None, str], list[Metric]] = {}
        for record in self.records:
            if record.compared_to in known and record.metric in ACCURACY and (record.difference or 0) < 0:
                found.setdefault((record.slice, record.metric, record.k, record.model), []).append(record)
        return found

    def per_user(self) -> Iterator[UserMetrics]:
        """The values of every user and system, user by user."""
        names = [column.metric + (f"@{column.k}" if column.k else "") for column in self.plan.columns]
        names = [
            name if column.slice == ALL else f"{name} {column.slice}"
            for name, column in zip(names, self.plan.columns, strict=True)
        ]
        lengths, numbers = self.cases.history_lengths(), self.cases.target_numbers()
        for case in range(len(self.cases)):
            for entry in self.entries:
                values = zip(names, entry.values[case].tolist(), strict=True)
                yield UserMetrics(
                    user=self.cases.user(case),
                    model=entry.name,
                    history=int(lengths[case]),
                    targets=int(numbers[case]),
                    values={name: round(value, 6) for name, value in values if value == value},
                )

    def sidecar(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The provenance to write beside the records."""
        return provenance.describe(
            command="eval", arguments=arguments, inputs=self.inputs, seed=arguments["seed"], facts=self.facts
        )


def evaluate(
    models: Sequence[str | Path], directory: str | Path, settings: EvalConfig, *, reporter: Reporter = SILENT
) -> Evaluation:
    """Rank the full catalogue with every model and baseline for the users of a split, and measure.

    Raises ConfigError for paths or settings that do not fit, InputError for bad data or a model of
    other data, ModelError for a broken model or one whose scores are no numbers.
    """
    if len({Path(path).resolve() for path in models}) < len(models):
        raise ConfigError("a model is given twice; name each once")
    dataset = data.load(directory, ("train", settings.split))
    opened = [ModelSystem(path, dataset) for path in models]
    cases = of_cases.select(dataset, settings.split, settings.seen, [model.known for model in opened])
    _check(cases, dataset, settings)
    parts = slices.choose(settings.slice, cases, dataset, seen=settings.seen, labels=settings.labels)
    tied = tie_breaking.order(np.bincount(cases.targets, minlength=len(dataset.vocab) + 1), settings.k, settings.seed)
    facts = {**_facts(opened, cases, dataset, settings), "slices": parts.sizes}
    facts["ties"] = {"order": tied.name, "deviation": round(tied.deviation, 2)}
    for remark in _remarks(facts):
        reporter.note(remark)
    plan = Plan(
        ks=settings.k,
        metrics=settings.metrics,
        seen=settings.seen,
        facts=of_lists.catalogue_facts(dataset, _texts(dataset, settings, reporter)),
        priority=tied.priority,
        target_slices=parts.targets,
        threads=settings.threads or default_threads(cores()),
    )
    entries = [Entry.of(measure(model, cases, plan, reporter=reporter), "model", seed=model.seed) for model in opened]
    if settings.group:
        entries = seed_groups.grouped(entries, [seed_groups.signature(model.model) for model in opened])
        if not any(entry.role == "group" for entry in entries):
            reporter.warn("--group: no two models differ in their seed alone; each stands for itself")
    for baseline in baselines.fit(dataset, settings.baselines, reporter):
        entries.append(Entry.of(measure(baseline, cases, plan, reporter=reporter), "baseline"))
    records = metric_records.records(
        entries,
        plan.columns,
        settings.metrics,
        metric_records.regions(plan.columns, parts.users, len(cases)),
        metric_records.Common(
            settings.split, dataset.protocol, settings.seen, tied.name, cases.left_out, settings.seed
        ),
        metric_records.Sampling(settings.resamples, settings.seed, plan.threads),
    )
    _tell_missing(records, settings.metrics, reporter)
    return Evaluation(
        records=records,
        entries=entries,
        systems=opened,
        dataset=dataset,
        cases=cases,
        plan=plan,
        facts=facts,
        inputs=[
            *(Path(directory) / name for name in ("sequences.jsonl", "items.jsonl")),
            *(Path(path) / "manifest.json" for path in models),
            *([settings.labels] if settings.labels else []),
        ],
    )


def _check(cases: of_cases.Cases, dataset: data.Dataset, settings: EvalConfig) -> None:
    path = dataset.directory / "sequences.jsonl"
    if not len(dataset.splits["train"]):
        raise InputError("has no train lines; the baselines are fitted on them", file=path)
    if not len(dataset.splits[settings.split]):
        raise InputError(
            f"has no {settings.split} lines; run prepare with another --split, or eval with another --split", file=path
        )
    if not len(cases):
        reasons = ", ".join(f"{reason} {count}" for reason, count in cases.left_out.items())
        raise InputError(f"no {settings.split} line is left to evaluate ({reasons})", file=path)


def _tell_missing(records: Sequence[Metric], wanted: Sequence[str], reporter: Reporter) -> None:
    """Say which metrics have no figure and why; ConfigError when none has one."""
    found = {record.metric for record in records}
    why = {"diversity_category": "the items have no categories (or the lists no two items that do)"}
    single = "no model has several interests"
    missing = [f"{name}: {why.get(name, single)}" for name in wanted if name not in found]
    if not records:
        raise ConfigError(f"--metrics: nothing can be measured here ({'; '.join(missing)})")
    if missing:
        reporter.note(f"no figure of {'; '.join(missing)}")


def _texts(dataset: data.Dataset, settings: EvalConfig, reporter: Reporter) -> Any:
    """Unit text vectors of the items (N + 1, D) where a metric wants them, else None."""
    if "diversity_text" not in settings.metrics:
        return None
    from eimf_core.text.cache import encode_items
    from eimf_core.text.loading import open_encoder

    return encode_items(dataset.directory, dataset.items, open_encoder(), reporter).astype(np.float32)


def _facts(
    opened: Sequence[ModelSystem], cases: of_cases.Cases, dataset: data.Dataset, settings: EvalConfig
) -> dict[str, Any]:
    return {
        "protocol": dataset.protocol,
        "split": settings.split,
        "seen": settings.seen,
        "items": len(dataset.vocab),
        "users": len(cases),
        "left_out": cases.left_out,
        "targets": len(cases.targets),
        "repeated_targets_dropped": cases.repeated_targets,
        "models": {
            model.name: {
                "backbone": model.model.config.backbone,
                "seed": model.seed,
                "items_unknown_to_model": int(len(dataset.vocab) - model.known.sum()),
                "items_unknown_to_data": model.unmatched,
                "targets_unknown_to_model": int((~model.known[cases.targets]).sum()),
            }
            for model in opened
        },
    }


def _remarks(facts: dict[str, Any]) -> list[str]:
    remarks = []
    if facts["left_out"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in facts["left_out"].items())
        remarks.append(f"users left out: {reasons}")
    if facts["repeated_targets_dropped"]:
        count = facts["repeated_targets_dropped"]
        remarks.append(f"{count} targets are in the user's history and not asked for (--seen keep asks for them)")
    if facts["ties"]["order"] == "seeded":
        remarks.append(
            f"the order of the items says what is asked for ({facts['ties']['deviation']:+.1f} standard deviations"
            " towards the first): equal scores follow a seeded order instead"
        )
    for name, model in facts["models"].items():
        if model["items_unknown_to_model"] or model["items_unknown_to_data"]:
            remarks.append(
                f"{name} does not know {model['items_unknown_to_model']} items of the data"
                f" ({model['targets_unknown_to_model']} targets, counted as misses),"
                f" the data does not have {model['items_unknown_to_data']} of its items (never ranked)"
            )
    for name, size in facts["slices"].items():
        remarks.append(f"slice {name}: {', '.join(f'{count:,} {what}' for what, count in size.items())}")
    return remarks
