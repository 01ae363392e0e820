"""Settings of `eimf recommend`: how long the lists are, what may stand in them, what is said beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eimf_core.config import setting
from eimf_core.errors import ConfigError


@dataclass(frozen=True)
class RecommendConfig:
    """Settings that hold for all queries; a query's own `k`, `seen` and `diversity` come before them."""

    k: int = setting(10, "Items to recommend.", "-k")
    seen: Literal["drop", "keep"] | None = setting(
        None, "Items of the history: drop or keep; as in training if not given."
    )
    diversity: float = setting(0.0, "Weight of a list's variety of categories against its scores.", metavar="WEIGHT")
    per_interest: bool = setting(False, "A list for each interest instead of one merged list.")
    min_score: float | None = setting(None, "Leave out items with a lower score.")
    text_weight: float = setting(0.5, "Weight of --text beside a history, from 0 to 1.", metavar="SHARE")
    anchors: int = setting(3, "History items named for each interest at most; 0 for none.")
    anchor_share: float = setting(
        0.1, "Least share of an interest for a history item to be named; the largest always is.", metavar="SHARE"
    )
    name_threshold: float = setting(0.4, "Least similarity of an interest's name; below it none is given.")
    first: bool = setting(False, "Take the first of several equally good titles.")
    strict: bool = setting(False, "Unknown ids and titles are an error, those to leave out or to keep too.")
    on_error: Literal["fail", "skip"] = setting(
        "fail",
        "A bad Query line: fail ends the stream there; skip writes a line with the field 'error' in its place, "
        "goes on, and ends with exit code 3 and the number of such lines.",
    )
    index: bool = setting(False, "Search the model's index, which is faster with millions of items and not exact.")
    threads: int | None = setting(
        None, "Threads that answer Query lines; one a processor if not given, or what OMP_NUM_THREADS says."
    )
    encoder: str | None = setting(
        None, "Text encoder for words and new items, a name or path; the packaged one if not given."
    )

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"-k is {self.k}, expected at least 1")
        if not 0 <= self.diversity < float("inf"):
            raise ConfigError(f"--diversity is {self.diversity}, expected 0 or more")
        if self.min_score is not None and self.min_score != self.min_score:
            raise ConfigError("--min-score is no number")
        if self.anchors < 0:
            raise ConfigError(f"--anchors is {self.anchors}, expected 0 or more")
        for option in ("text_weight", "anchor_share"):
            if not 0 <= getattr(self, option) <= 1:
                raise ConfigError(f"--{option.replace('_', '-')} is {getattr(self, option)}, expected 0 to 1")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads is {self.threads}, expected at least 1")
        if not -1 <= self.name_threshold <= 1:
            raise ConfigError(f"--name-threshold is {self.name_threshold}, expected a cosine from -1 to 1")
