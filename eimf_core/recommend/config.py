"""Settings of `eimf recommend` and `eimf similar`: how long lists are, what may stand in them, what is said beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eimf_core import shards
from eimf_core.config import MAX_THREADS, check, setting, setting_error
from eimf_core.ray_cluster import ray_option


@dataclass(frozen=True)
class ListConfig:
    """Settings of any list of items."""

    k: int = setting(10, "Items to list.", "-k", low=1)
    min_score: float | None = setting(None, "Leave out items with a lower score.", metavar="SCORE", advanced=True)
    first_match: bool = setting(False, "Take the first of several equally good titles.", advanced=True)
    strict: bool = setting(
        False, "Unknown ids and titles are an error, those to leave out or to keep too.", group="data", advanced=True
    )
    encoder: str | None = setting(
        None, "Text encoder for words and new items, a name or path; the packaged one if not given.", group="model",
        advanced=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class QueryConfig(ListConfig):
    """Settings that hold for all queries; a query's own `k`, `seen` and `diversity` come before them."""

    seen: Literal["drop", "keep"] | None = setting(
        None, "Items of the history: drop or keep; as in training if not given."
    )
    diversity: float = setting(
        0.0, "Weight of different categories in a list against its scores.", metavar="WEIGHT", low=0
    )
    per_interest: bool = setting(False, "A list for each interest instead of one merged list.", advanced=True)
    text_weight: float = setting(
        0.5, "Weight of words (text) beside a history, from 0 to 1.", metavar="SHARE", low=0, high=1, advanced=True
    )
    anchors: int = setting(3, "History items named for each interest at most; 0 for none.", low=0, advanced=True)
    anchor_share: float = setting(
        0.1, "Least share of an interest's attention for a history item to be named; the largest always is.",
        low=0, high=1, config_only=True,
    )  # fmt: skip
    name_threshold: float = setting(
        0.3, "Least cosine of items to the centre of their group; below it no name.", group="model", low=-1, high=1,
        config_only=True,
    )  # fmt: skip
    index: bool = setting(
        False, "Search the model's index, which is faster with millions of items and not exact.", group="model",
        advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class RecommendConfig(QueryConfig):
    """Settings of `eimf recommend`."""

    repeat_after: float | None = setting(
        None, "Days after which an item that a user had may be listed again, as of the end of the data.",
        group="data", metavar="DAYS", low=0,
    )  # fmt: skip
    on_error: Literal["fail", "skip"] = setting(
        "fail",
        "A bad Query line: fail ends the stream there; skip writes a line with the field 'error' in its place, "
        "goes on, and ends with exit code 3 and the number of such lines.",
        group="data", advanced=True,
    )  # fmt: skip
    threads: int | None = setting(
        None,
        "Processes that answer many Query lines, threads where the system is not Linux; if not given one a processor, "
        "at most 8, or as OMP_NUM_THREADS says.",
        group="machine", low=1, high=MAX_THREADS, advanced=True,
    )  # fmt: skip
    shard: str | None = setting(
        None,
        "Only this part of --all-users, such as 3/8, for job arrays; the .jsonl parts concatenated are the whole.",
        group="machine", metavar="I/N", advanced=True,
    )  # fmt: skip
    ray: str | None = ray_option.option("Answer for --all-users by many processes")

    def __post_init__(self) -> None:
        super().__post_init__()
        ray_option.check_address(self.ray)
        shards.parse(self.shard)
        if self.repeat_after is not None and self.seen is not None:
            raise setting_error("repeat_after", "says itself when items of the history are listed; leave out --seen")
