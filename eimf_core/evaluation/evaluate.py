"""One evaluation: model directories and a prepared directory in, Metric records out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from eimf_core import dataset as data
from eimf_core import plugins, threads
from eimf_core.errors import ConfigError, InputError
from eimf_core.evaluation import baselines, eval_users, metric_records, seed_groups, slices, tie_breaking
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.measure import MeasurePlan, measure
from eimf_core.evaluation.metrics import list_metrics
from eimf_core.evaluation.metrics.accuracy import ACCURACY
from eimf_core.evaluation.previous_report import PreviousReport, data_differences
from eimf_core.evaluation.previous_report import read as read_previous
from eimf_core.evaluation.scorers import ModelSystem
from eimf_core.evaluation.slice_bootstrap import ALL, Sampling, eval_slices
from eimf_core.evaluation.system_results import SystemResult
from eimf_core.io import files, provenance
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Metric, UserMetrics


@dataclass(frozen=True)
class Evaluation:
    """What came out: `records` (figures first, then comparisons), `facts` for the sidecar.

    `results` are the models, groups and baselines in the order of the records, `systems` the opened
    models; with `dataset`, `users` and `plan` they are there for whoever wants to look closer.
    """

    records: list[Metric]
    results: list[SystemResult]
    systems: list[ModelSystem]
    dataset: data.Dataset
    users: eval_users.EvalUsers
    plan: MeasurePlan
    facts: dict[str, Any]
    inputs: list[str | Path]
    previous: PreviousReport | None = None

    @cached_property
    def data_differences_to_previous(self) -> str | None:
        """Why figures of the previous evaluation may differ for other reasons than the model."""
        path = self.dataset.directory / "sequences.jsonl"
        return None if self.previous is None else data_differences(self.previous, self.records, files.sha256(path))

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines."""
        return [result.name for result in self.results if result.role == "baseline"]

    @property
    def contenders(self) -> list[str]:
        """Names of what is compared with them: groups, and models that are in no group."""
        return [result.name for result in self.results if result.role in ("model", "group")]

    def baseline_wins(self) -> dict[tuple[str, str, int | None, str], list[Metric]]:
        """The comparisons with a baseline that is better, by (slice, metric, k, model); accuracy only."""
        known = set(self.baselines)
        found: dict[tuple[str, str, int | None, str], list[Metric]] = {}
        for record in self.records:
            if record.compared_to in known and record.metric in ACCURACY and (record.difference or 0) < 0:
                found.setdefault((record.slice, record.metric, record.k, record.model), []).append(record)
        return found

    def per_user(self) -> Iterator[UserMetrics]:
        """The values of every user and system, user by user."""
        names = [
            column.metric + (f"@{column.k}" if column.k else "") + ("" if column.slice == ALL else f" {column.slice}")
            for column in self.plan.columns
        ]
        lengths, numbers = self.users.history_lengths(), self.users.target_numbers()
        for row in range(len(self.users)):
            for result in self.results:
                values = zip(names, result.values[row].tolist(), strict=True)
                yield UserMetrics(
                    user=self.users.user(row),
                    model=result.name,
                    history=int(lengths[row]),
                    targets=int(numbers[row]),
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

    Args:
        models: model directories, each once.
        directory: that prepare wrote; the baselines are fitted on its training lines.
        settings: split, metrics, cutoffs, slices, baselines and how intervals are drawn.
        reporter: hears of progress and of users and targets that do not count.

    Returns:
        Figures with their intervals, comparisons, and what they were made from.

    Raises:
        ConfigError: for paths or settings that do not fit.
        InputError: for bad data, or a model of other data.
        ModelError: for a broken model, or one whose scores are no numbers.
    """
    if len({os.path.realpath(path) for path in models}) < len(models):
        raise ConfigError("a model is given twice, so that it would be compared with itself; name each directory once")
    before = None if settings.compare_with is None else read_previous(settings.compare_with)
    dataset = data.load(directory, ("train", settings.split))
    opened = [ModelSystem(path, dataset) for path in models]
    users = eval_users.select(dataset, settings.split, settings.seen, [model.known for model in opened])
    _check(users, dataset, settings)
    _check_not_trained_on(opened, settings)
    parts = slices.choose(settings.slice, users, dataset, seen=settings.seen, labels=settings.labels)
    tied = tie_breaking.order(np.bincount(users.targets, minlength=len(dataset.vocab) + 1), settings.k, settings.seed)
    facts = {**_facts(opened, users, dataset, settings), "slices": parts.sizes}
    facts["ties"] = {"order": tied.name, "deviation": round(tied.deviation, 2)}
    for remark in _remarks(facts):
        reporter.note(remark)
    plan = MeasurePlan(
        ks=settings.k,
        metrics=settings.metrics,
        seen=settings.seen,
        facts=list_metrics.catalogue_facts(dataset, _texts(dataset, settings, reporter)),
        priority=tied.priority,
        target_slices=parts.targets,
        threads=settings.threads or threads.for_measuring(),
    )
    results = [
        SystemResult.of(measure(model, users, plan, reporter=reporter), "model", seed=model.seed) for model in opened
    ]
    if settings.group:
        results = seed_groups.grouped(results, [seed_groups.signature(model.model) for model in opened])
        if not any(result.role == "group" for result in results):
            reporter.warn("--group: no two models differ in their seed alone; each stands for itself")
    for baseline in baselines.fit(dataset, settings.baselines, reporter):
        results.append(SystemResult.of(measure(baseline, users, plan, reporter=reporter), "baseline"))
    records = metric_records.records(
        results,
        plan.columns,
        settings.metrics,
        eval_slices(plan.columns, parts.users, len(users)),
        partial(
            Metric,
            split=settings.split,
            protocol=dataset.protocol,
            seen=settings.seen,
            ties=tied.name,
            left_out=users.left_out,
            eval_seed=settings.seed,
        ),
        Sampling(settings.resamples, settings.seed, plan.threads),
    )
    _tell_missing(records, settings.metrics, reporter)
    return Evaluation(
        records=records,
        results=results,
        systems=opened,
        dataset=dataset,
        users=users,
        plan=plan,
        facts=facts,
        previous=before,
        inputs=[
            *(Path(directory) / name for name in ("sequences.jsonl", "items.jsonl")),
            *(Path(path) / "manifest.json" for path in models),
            *(path for path in (settings.labels, settings.compare_with) if path),
        ],
    )


def _check(users: eval_users.EvalUsers, dataset: data.Dataset, settings: EvalConfig) -> None:
    path = dataset.directory / "sequences.jsonl"
    if not len(dataset.splits["train"]):
        raise InputError("has no train lines; the baselines are fitted on them", file=path)
    if not len(dataset.splits[settings.split]):
        raise InputError(
            f"has no {settings.split} lines; run prepare with another --split, or eval with another --split", file=path
        )
    if not len(users):
        reasons = eval_users.reasons_text(users.left_out, settings.split)
        raise InputError(f"no {settings.split} line is left to evaluate; users left out: {reasons}", file=path)


def _tell_missing(records: Sequence[Metric], wanted: Sequence[str], reporter: Reporter) -> None:
    """Say which metrics have no figure and why; ConfigError when none has one."""
    found = {record.metric for record in records}
    missing = [f"{name}: {_why_missing(name)}" for name in wanted if name not in found]
    if not records:
        raise ConfigError(f"--metrics: nothing can be measured here ({'; '.join(missing)})")
    if missing:
        reporter.note(f"no figure of {'; '.join(missing)}")


def _why_missing(name: str) -> str:
    if name == "diversity_category":
        return "the items have no categories (or the lists no two items that do)"
    plugin = plugins.find("metrics", name)
    return f"the plug-in of {plugin.origin} gave none" if plugin else "no model has several interests"


def _texts(dataset: data.Dataset, settings: EvalConfig, reporter: Reporter) -> Any:
    """Unit text vectors of the items (N + 1, D) where a metric wants them, else None."""
    if "diversity_text" not in settings.metrics:
        return None
    from eimf_core.text.cache import encode_items
    from eimf_core.text.loading import open_encoder

    encoder = open_encoder(texts=len(dataset.items))
    return encode_items(dataset.directory, dataset.items, encoder, reporter).astype(np.float32)


def _check_not_trained_on(opened: Sequence[ModelSystem], settings: EvalConfig) -> None:
    for system in opened:
        if settings.split == "valid" and system.model.refitted:
            raise ConfigError(
                f"{system.name}: was trained on validation lines too (--refit), so that figures of them say nothing; "
                "leave out --split valid"
            )


def _facts(
    opened: Sequence[ModelSystem], users: eval_users.EvalUsers, dataset: data.Dataset, settings: EvalConfig
) -> dict[str, Any]:
    return {
        "protocol": dataset.protocol,
        "split": settings.split,
        "seen": settings.seen,
        "items": len(dataset.vocab),
        "users": len(users),
        "left_out": users.left_out,
        "targets": len(users.targets),
        "repeated_targets_dropped": users.repeated_targets,
        "models": {
            model.name: {
                "backbone": model.model.config.backbone,
                "seed": model.seed,
                "items_unknown_to_model": int(len(dataset.vocab) - model.known.sum()),
                "items_unknown_to_data": model.unmatched,
                "trained_on_validation": model.model.refitted,
                "targets_unknown_to_model": int((~model.known[users.targets]).sum()),
            }
            for model in opened
        },
    }


def _remarks(facts: dict[str, Any]) -> list[str]:
    remarks = []
    if facts["left_out"]:
        remarks.append(f"users left out: {eval_users.reasons_text(facts['left_out'], facts['split'])}")
    if facts["repeated_targets_dropped"]:
        count = facts["repeated_targets_dropped"]
        remarks.append(f"{count} targets are left out since they are in the user's history (--seen keep counts them)")
    if facts["ties"]["order"] == "seeded":
        remarks.append(
            f"the order of the items favours targets ({facts['ties']['deviation']:+.1f} standard deviations from"
            " chance, + for the first items): ties in score go by a random order drawn with --seed, not by that order"
        )
    refitted = [name for name, model in facts["models"].items() if model["trained_on_validation"]]
    if refitted:
        verb = "was" if len(refitted) == 1 else "were"
        remarks.append(f"{', '.join(refitted)} {verb} trained on validation lines too (--refit), no baseline was")
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
