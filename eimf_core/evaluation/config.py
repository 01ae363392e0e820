"""What `eimf eval` can be told: the settings, their defaults and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eimf_core import plugins
from eimf_core.config import MAX_THREADS, check, no_choice, setting, setting_error


@dataclass
class EvalConfig:
    """Settings of an evaluation; every one is recorded beside the figures."""

    split: Literal["test", "valid"] = setting("test", "Lines to evaluate on.")
    k: list[int] = setting(
        [10, 20], "Length of the ranked list; repeat for several.", "-k", low=1, high=1000, metavar="K"
    )
    seen: Literal["drop", "keep"] = setting(
        "drop", "Whether items of the history are dropped from the ranking (and from the targets) or kept."
    )
    metrics: list[str] = setting(
        ["standard"],
        "Metrics, repeated or with commas: standard (recall, hit_rate, ndcg, mrr), all, or names"
        " (see --help-metrics; ndcg_hits and diversity_text only by name).",
        "-m",
        metavar="NAME",
        known=lambda: plugins.names("metrics"),
    )
    baselines: Literal["fast", "all", "none"] = setting(
        "fast",
        "Fit beside the models: popularity, recent popularity, last item, item-kNN, and EASE up to 5,000 items;"
        " all: EASE up to 20,000 items. Kept under DIR/.cache for the next time.",
    )
    slice: list[str] = setting(
        [],
        "Figures for a part too, repeat for several: history, popularity, labels, cold, repeat, category;"
        " history=5,20 and popularity=10 set bounds, category=NAME takes one.",
        metavar="NAME[=VALUE]",
        known=lambda: _slices(),
    )
    group: bool = setting(
        False, "Take models that differ in their seed alone as one: mean, spread over seeds, pooled difference."
    )
    compare_with: Path | None = setting(
        None,
        "A previous report, or the file of a previous eval -o: what changed since is shown.",
        group="data", metavar="FILE",
    )  # fmt: skip
    labels: Path | None = setting(
        None, "Labels, whose users are the labelled ones of --slice labels.", group="data", metavar="FILE"
    )
    seed: int = setting(
        0,
        "Seed of the resampling, and of the order of equal scores where item order favours targets.",
        low=0,
    )
    resamples: int = setting(
        10_000,
        "Bootstrap resamples of the users behind each interval.",
        low=100,
        advanced=True,
    )
    threads: int = setting(
        0,
        "Threads; 0: OMP_NUM_THREADS, or all processors at hand.",
        group="machine",
        low=0,
        high=MAX_THREADS,
        metavar="N",
    )

    def __post_init__(self) -> None:
        check(self)
        self.k = sorted(set(self.k))
        if not self.k:
            raise setting_error("k", "is empty: give at least one length of list, such as --k 10")
        self.metrics = _metric_names(self.metrics)
        self.slice = list(dict.fromkeys(self.slice))
        if self.slice:
            for name in (word.partition("=")[0] for word in self.slice):
                if name not in _slices():
                    raise setting_error("slice", no_choice(name, _slices()))


def _slices() -> tuple[str, ...]:
    from eimf_core.evaluation.slices import SLICES

    return SLICES


def _metric_names(wanted: list[str]) -> list[str]:
    from eimf_core.evaluation.metrics import METRICS, SETS, add_plugin

    names: dict[str, None] = {}
    for word in (word.strip() for given in wanted for word in given.split(",")):
        if word not in SETS and word not in METRICS and not add_plugin(word):
            raise setting_error(
                "metrics",
                no_choice(word, plugins.names("metrics"), also=" (eimf eval --help-metrics tells them)", verb="has"),
            )
        names.update(dict.fromkeys(SETS.get(word, (word,))))
    return list(names)
