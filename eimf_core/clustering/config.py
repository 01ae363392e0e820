"""What `eimf cluster` can be told: one dataclass, each default and its help written once."""

from __future__ import annotations

from dataclasses import dataclass

from eimf_core.config import check, setting, setting_error
from eimf_core.ray_cluster import ray_option

AUTO = "auto"


@dataclass(frozen=True)
class ClusterConfig:
    """Settings of a choice of representative users; raises ConfigError for a value that makes no sense."""

    clusters: str = setting(AUTO, "Number of clusters; auto chooses it on held-out users, see above.", metavar="auto|N")
    budget: str = setting(
        "5%", "Representative users to choose: a number, or a share of the training users.", metavar="N|P%"
    )
    encoder: str | None = setting(
        None, "Text encoder: a sentence-transformers folder or hub name; the packaged one if not given.", group="model"
    )
    categories: bool = setting(True, "Samples carry the categories of their items, which label shows beside titles.")
    seed: int = setting(0, "Random seed.", low=0)
    min_items: int = setting(
        0, "Prefer users with at least so many distinct items; 0: the upper quartile of users, at most 20.", low=0,
        advanced=True,
    )  # fmt: skip
    overlap: float = setting(
        0.5, "Leave out users whose items have a larger Jaccard similarity than this with a chosen user's; 1: none.",
        low=0, high=1, config_only=True,
    )  # fmt: skip
    ray: str | None = ray_option.option("Encode text by many processes")

    def __post_init__(self) -> None:
        check(self)
        ray_option.check_address(self.ray)
        if self.clusters != AUTO and not (_is_count(self.clusters) and int(self.clusters) >= 1):
            raise setting_error("clusters", f"is '{self.clusters}', expected {AUTO} or a number from 1")
        self.samples(100)

    @property
    def wanted(self) -> int | None:
        """The number of clusters asked for; None for auto."""
        return None if self.clusters == AUTO else int(self.clusters)

    def samples(self, users: int) -> int:
        """How many of so many users the budget allows: at least one, at most all."""
        text = self.budget.strip()
        try:
            if text.endswith("%"):
                share = float(text[:-1]) / 100
                if 0 < share <= 1:
                    return max(1, round(share * users))
            elif _is_count(text) and int(text) >= 1:
                return min(users, int(text))
        except ValueError:
            pass
        raise setting_error("budget", f"is '{self.budget}', expected a number from 1 or a share such as 5%")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
