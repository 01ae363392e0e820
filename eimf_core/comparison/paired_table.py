"""The table of a comparison: each backbone and baseline, and its difference to the backbone that validation chose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eimf_core.comparison.compare import Comparison, TunedBackbone
from eimf_core.comparison.setting_ranges import changed
from eimf_core.evaluation import metric_format, result_tables
from eimf_core.evaluation.metric_format import TextTable, interval_text, number_text, p_value
from eimf_core.evaluation.result_tables import MetricRow
from eimf_core.records import Metric


@dataclass(frozen=True)
class Difference:
    """To the chosen backbone, over the same users; None where nothing was drawn."""

    value: float
    low: float
    high: float
    p: float
    p_holm: float
    detectable: float | None

    @property
    def decided(self) -> bool:
        return self.p_holm < result_tables.UNSURE


@dataclass(frozen=True)
class SystemRow:
    """A system of the table. `figures` and `differences` by metric and cutoff; `backbone` is None for a baseline."""

    name: str
    backbone: TunedBackbone | None
    figures: dict[MetricRow, Metric]
    differences: dict[MetricRow, Difference]

    @property
    def seconds(self) -> float | None:
        """Of one training, the mean over seeds."""
        known = [trial.seconds for trial in self.backbone.trained if trial.seconds] if self.backbone else []
        return float(np.mean(known)) if known else None


def metrics(comparison: Comparison) -> list[tuple[MetricRow, str]]:
    """What was measured, the main metric first."""
    main = result_tables.main_row(comparison.evaluation)
    return sorted(result_tables.metric_rows(comparison.evaluation), key=lambda each: each[0] != main)


def lines(comparison: Comparison) -> list[SystemRow]:
    """All systems, those with the highest main figure first; backbones whose trainings all failed at the end."""
    evaluation = comparison.evaluation
    names = _names(comparison)
    called = {ours: theirs for theirs, ours in names.items()}
    best = names[comparison.best]
    made = []
    for name in [*evaluation.contenders, *evaluation.baselines]:
        figures = {row: result_tables.by_row(evaluation, "all")[row][name] for row, _ in metrics(comparison)}
        backbone = next((each for each in comparison.backbones if called.get(name) == each.name), None)
        made.append(SystemRow(called.get(name, name), backbone, figures, _differences(comparison, name, best)))
    main = result_tables.main_row(evaluation)
    made.sort(key=lambda line: -line.figures[main].value)
    return made + [SystemRow(each.name, each, {}, {}) for each in comparison.backbones if not each.trained]


def _names(comparison: Comparison) -> dict[str, str]:
    """The name of each backbone in the evaluation: of the group of its seeds, or of its one model."""
    made = {}
    for backbone in comparison.backbones:
        models = {str(comparison.folder / str(trial.model)) for trial in backbone.trained}
        for result in comparison.evaluation.results:
            of_group = {comparison.evaluation.results[at].name for at in result.members}
            if (of_group or {result.name}) == models and result.role in ("model", "group"):
                made[backbone.name] = result.name
    return made


def _differences(comparison: Comparison, name: str, best: str) -> dict[MetricRow, Difference]:
    made = {}
    for record in comparison.evaluation.records:
        pair = (record.model, record.compared_to)
        if record.slice != "all" or pair not in ((name, best), (best, name)):
            continue
        value, low, high = record.difference, record.difference_ci_low, record.difference_ci_high
        assert value is not None and low is not None and high is not None
        assert record.p is not None and record.p_holm is not None
        if pair[0] == best:
            value, low, high = -value, -high, -low
        made[record.metric, record.k] = Difference(value, low, high, record.p, record.p_holm, record.detectable)
    return made


def table(comparison: Comparison) -> TextTable:
    """The table for people: figures with their intervals over users and their spread over seeds."""
    main = result_tables.main_row(comparison.evaluation)
    shown = metrics(comparison)
    rows = []
    for line in lines(comparison):
        difference = line.differences.get(main)
        rows.append(
            [
                line.name,
                metric_format.metric_text(line.figures[main]) if line.figures else "all trainings failed",
                ""
                if difference is None
                else interval_text(difference.value, difference.low, difference.high, signed=True),
                "" if difference is None else p_value(difference.p_holm),
                validation(line.backbone),
                *(number_text(line.figures[row].value) if line.figures else "" for row, _ in shown[1:]),
                "" if line.seconds is None else f"{line.seconds:,.0f}",
            ]
        )
    named = metric_format.metric_name(*main)
    columns = ["", named, f"difference to {comparison.best}", "p (Holm)", "validation NDCG@10"]
    return TextTable(caption(comparison), [*columns, *(label for _, label in shown[1:]), "seconds per training"], rows)


def caption(comparison: Comparison) -> str:
    """What the table shows, in a sentence."""
    facts = comparison.evaluation.facts
    seeds = max(len(backbone.trained) for backbone in comparison.backbones)
    spread = f", ± standard deviation over {seeds} seeds" if seeds > 1 else ""
    return (
        f"test split, {facts['protocol']}, {facts['users']:,} users: [95 % intervals over users]{spread};"
        f" chosen on the validation split: {comparison.best}"
    )


def validation(backbone: TunedBackbone | None) -> str:
    """NDCG@10 on the validation split: mean and spread over seeds."""
    if backbone is None or backbone.mean_validation is None:
        return ""
    spread = f" ± {number_text(float(np.std(backbone.validation, ddof=1)))}" if len(backbone.validation) > 1 else ""
    return f"{number_text(backbone.mean_validation)}{spread}"


def remarks(comparison: Comparison) -> list[str]:
    """What was chosen for each backbone, and which trainings failed."""
    made = []
    for backbone in comparison.backbones:
        if len(backbone.search) > 1:
            failed = sum(trial.error is not None for trial in backbone.search)
            lost = f", {failed} failed" if failed else ""
            said = changed(backbone.settings)
            made.append(f"{backbone.name}: {said}, the best of {len(backbone.search)} settings{lost}")
    for backbone in comparison.backbones:
        for trial in backbone.failed:
            made.append(f"{backbone.name}, seed {trial.seed}: failed: {trial.error}")
    if (least := result_tables.smallest_shown(comparison.evaluation)) is not None:
        made.append(least)
    return made
