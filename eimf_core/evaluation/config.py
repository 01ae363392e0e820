"""What `eimf eval` can be told: the settings, their defaults and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eimf_core.config import setting
from eimf_core.errors import ConfigError

LARGEST_K = 1000
STANDARD = ("recall", "hit_rate", "ndcg", "mrr")
FURTHER = (
    "map",
    "precision",
    "coverage",
    "gini",
    "novelty",
    "popularity",
    "diversity_category",
    "interest_cosine",
    "interest_places",
    "interest_hits",
)
ON_REQUEST = ("ndcg_hits", "diversity_text")
METRICS = (*STANDARD, *FURTHER, *ON_REQUEST)
SLICES = ("history", "popularity", "labels", "cold", "repeat", "category")


@dataclass
class EvalConfig:
    """Settings of an evaluation; every one is recorded beside the figures."""

    split: Literal["test", "valid"] = setting("test", "Lines to evaluate on.")
    k: list[int] = setting([10, 20], "Length of the ranked list; repeat for several.", "-k", metavar="K")
    seen: Literal["drop", "keep"] = setting(
        "drop", "Whether items of the history are dropped from the ranking (and from the targets) or kept."
    )
    metrics: list[str] = setting(
        ["standard"],
        "Metrics, repeated or with commas: standard (recall, hit_rate, ndcg, mrr), all, or names"
        " (see --help-metrics; ndcg_hits and diversity_text only by name).",
        "-m",
        metavar="NAME",
    )
    baselines: Literal["fast", "all", "none"] = setting(
        "fast",
        "Fit beside the models: popularity, recent popularity, last item, item-kNN, and EASE up to 5,000 items;"
        " all: EASE up to 20,000 items. Kept under DIR/.cache for the next time.",
    )
    slice: list[str] = setting(
        [],
        "Figures for a part too, repeat for several: history, popularity, labels, cold, repeat, category;"
        " history=5,20 and popularity=10 set bounds (or llm-esr-beauty, -fashion, -yelp), category=NAME takes one.",
        metavar="NAME[=VALUE]",
    )
    labels: Path | None = setting(None, "Labels that tell labelled users (for --slice labels).", metavar="FILE")
    group: bool = setting(
        False, "Take models that differ in their seed alone as one: mean, spread over seeds, pooled difference."
    )
    seed: int = setting(0, "Seed of the resampling, and of the order of equal scores where item order favours targets.")
    resamples: int = setting(10_000, "Bootstrap resamples of the users behind each interval.")
    threads: int = setting(0, "Threads; 0 takes as many as BLAS would (OMP_NUM_THREADS counts).")

    def __post_init__(self) -> None:
        self.k = sorted(set(self.k))
        if not self.k:
            raise ConfigError("-k: give at least one length of list")
        if self.k[0] < 1 or self.k[-1] > LARGEST_K:
            raise ConfigError(f"-k: must be between 1 and {LARGEST_K}")
        self.metrics = _metric_names(self.metrics)
        self.slice = list(dict.fromkeys(self.slice))
        unknown = [word for word in self.slice if word.partition("=")[0] not in SLICES]
        if unknown:
            raise ConfigError(f"--slice: no slice '{unknown[0]}'; there are {', '.join(SLICES)}")
        if self.seed < 0:
            raise ConfigError("--seed: must not be negative")
        if self.resamples < 100:
            raise ConfigError("--resamples: must be at least 100 for an interval")
        if self.threads < 0:
            raise ConfigError("--threads: must not be negative")


def _metric_names(wanted: list[str]) -> list[str]:
    sets = {"standard": STANDARD, "all": (*STANDARD, *FURTHER)}
    names: dict[str, None] = {}
    for word in (word.strip() for given in wanted for word in given.split(",")):
        if word not in sets and word not in METRICS:
            raise ConfigError(f"--metrics: no metric '{word}'; there are {', '.join((*sets, *METRICS))}")
        names.update(dict.fromkeys(sets.get(word, (word,))))
    return list(names)
