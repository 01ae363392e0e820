"""What `eimf cluster` can be told: one dataclass, each default and its help written once."""

from __future__ import annotations

from dataclasses import dataclass

from eimf_core.config import setting
from eimf_core.errors import ConfigError

AUTO = "auto"


@dataclass(frozen=True)
class ClusterConfig:
    """Settings of a choice of typical users; raises ConfigError for a value that makes no sense."""

    encoder: str | None = setting(
        None, "Text encoder: a sentence-transformers folder or hub name; the packaged one if not given."
    )
    clusters: str = setting(
        AUTO, "Number of clusters; auto: as many as bring held-out users near to a centre.", metavar="auto|N"
    )
    budget: str = setting("5%", "Typical users in all: a number, or a share of the training users.", metavar="N|P%")
    seed: int = setting(0, "Seed of everything that is drawn.")
    half_life: float = setting(
        0.0, "An item weighs half as much as one so many items later; 0: all items weigh the same.", metavar="ITEMS"
    )
    min_items: int = setting(
        0, "Distinct items from which on a history is rich; 0: the upper quartile of users, at most 20.", metavar="N"
    )
    overlap: float = setting(
        0.5, "Pass over a user whose items overlap more than this with a chosen one's (Jaccard); 1: nobody."
    )

    def __post_init__(self) -> None:
        if self.clusters != AUTO and not (_is_count(self.clusters) and int(self.clusters) >= 1):
            raise ConfigError(f"--clusters: is '{self.clusters}', expected {AUTO} or a number from 1")
        self.samples(100)
        for name in ("seed", "half_life", "min_items"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"--{name.replace('_', '-')}: is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.overlap <= 1:
            raise ConfigError(f"--overlap: is {self.overlap}, expected a share from 0 to 1")

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
        raise ConfigError(f"--budget: is '{self.budget}', expected a number from 1 or a share such as 5%")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
