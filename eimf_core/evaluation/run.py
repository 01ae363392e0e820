"""One evaluation: model directories and a prepared directory in, Metric records out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eimf_core import dataset as data
from eimf_core import manifest
from eimf_core.errors import ConfigError, InputError
from eimf_core.evaluation import cases as of_cases
from eimf_core.evaluation import figures
from eimf_core.evaluation import lists as of_lists
from eimf_core.evaluation.baselines.popularity import Popularity
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.measure import Plan, measure
from eimf_core.evaluation.metrics import ACCURACY
from eimf_core.evaluation.systems import ModelSystem
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Metric


@dataclass(frozen=True)
class Evaluation:
    """What came out: `records` (figures first, then comparisons), `facts` for the sidecar."""

    records: list[Metric]
    models: list[str]
    baselines: list[str]
    facts: dict[str, Any]
    inputs: list[str | Path]

    @property
    def lost(self) -> dict[tuple[str, str, int | None, str], list[str]]:
        """The baselines that a model loses to, by (slice, metric, k, model); accuracy metrics only."""
        found: dict[tuple[str, str, int | None, str], list[str]] = {}
        for record in self.records:
            if record.compared_to in self.baselines and record.metric in ACCURACY and (record.difference or 0) < 0:
                found.setdefault((record.slice, record.metric, record.k, record.model), []).append(record.compared_to)
        return found

    def sidecar(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The provenance to write beside the records."""
        return manifest.describe(
            command="eval", arguments=arguments, inputs=self.inputs, seed=arguments["seed"], facts=self.facts
        )


def evaluate(
    models: Sequence[str | Path], directory: str | Path, settings: EvalConfig, *, reporter: Reporter = SILENT
) -> Evaluation:
    """Rank the full catalogue with every model and baseline for the users of a split, and measure.

    Raises ConfigError for paths that do not fit, InputError for bad data or a model of other data,
    ModelError for a broken model or one whose scores are no numbers.
    """
    if len({Path(path).resolve() for path in models}) < len(models):
        raise ConfigError("a model is given twice; name each once")
    dataset = data.load(directory, ("train", settings.split))
    opened = [ModelSystem(path, dataset) for path in models]
    cases = of_cases.select(dataset, settings.split, settings.seen, [model.known for model in opened])
    _check(cases, dataset, settings)
    facts = _facts(opened, cases, dataset, settings)
    for remark in _remarks(facts):
        reporter.note(remark)
    baselines = [Popularity.fit(dataset)]
    threads = settings.threads or _blas_threads()
    plan = Plan(
        ks=settings.k,
        metrics=settings.metrics,
        seen=settings.seen,
        facts=of_lists.catalogue_facts(dataset),
        priority=np.random.default_rng(settings.seed).permutation(len(dataset.vocab) + 1),
        threads=threads,
    )
    entries = [
        figures.Entry.of(measure(model, cases, plan, reporter=reporter), "model", seed=model.seed) for model in opened
    ]
    entries += [
        figures.Entry.of(measure(baseline, cases, plan, reporter=reporter), "baseline") for baseline in baselines
    ]
    common = figures.Common(settings.split, dataset.protocol, settings.seen, cases.left_out, settings.seed)
    return Evaluation(
        records=figures.records(
            entries,
            plan.columns,
            settings.metrics,
            figures.regions(plan.columns, {}, len(cases)),
            common,
            figures.Sampling(settings.resamples, settings.seed, threads),
        ),
        models=[model.name for model in opened],
        baselines=[baseline.name for baseline in baselines],
        facts=facts,
        inputs=[
            *(Path(directory) / name for name in ("sequences.jsonl", "items.jsonl")),
            *(Path(path) / "manifest.json" for path in models),
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
    for name, model in facts["models"].items():
        if model["items_unknown_to_model"] or model["items_unknown_to_data"]:
            remarks.append(
                f"{name} does not know {model['items_unknown_to_model']} items of the data"
                f" ({model['targets_unknown_to_model']} targets, counted as misses),"
                f" the data does not have {model['items_unknown_to_data']} of its items (never ranked)"
            )
    return remarks


def _blas_threads() -> int:
    """As many threads as BLAS would take: the processors at hand, or OMP_NUM_THREADS."""
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
