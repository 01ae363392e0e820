"""What `eimf compare` can be told: the settings, their defaults and their checks."""

from __future__ import annotations

from dataclasses import dataclass

from eimf_core import plugins
from eimf_core.config import check, no_choice, setting, setting_error
from eimf_core.models import registry


@dataclass(frozen=True)
class CompareConfig:
    """Settings of a comparison.

    Raises:
        ConfigError: for a value that is out of bounds, or no backbone.
    """

    backbones: list[str] = setting(
        [], "Backbones, with commas; several joined by + are an ensemble.",
        known=tuple(registry.BACKBONES), metavar="NAME[,NAME …]",
    )  # fmt: skip
    seeds: int = setting(3, "Seeds that each backbone is trained with, the same for all.", low=1, metavar="N")
    max_minutes: float | None = setting(None, "Minutes of each training at most.", above=0, metavar="M")
    trials: int | None = setting(
        None, "Random settings per backbone, drawn from --ranges; all combinations if not given.", low=1, metavar="N"
    )
    k: list[int] = setting(
        [10, 20], "Length of the ranked list; repeat for several.", "-k", low=1, high=1000, metavar="K"
    )
    seed: int = setting(0, "The first seed, and that of what is drawn from --ranges.", low=0)

    def __post_init__(self) -> None:
        check(self)
        names = [name.strip() for given in self.backbones for name in given.split(",") if name.strip()]
        if not names:
            raise setting_error("backbones", "is empty: name at least one, such as --backbones narm,comirec-sa,sasrec")
        object.__setattr__(self, "backbones", list(dict.fromkeys(names)))
        for part in (part for name in self.backbones for part in name.split("+")):
            if part not in registry.BACKBONES and plugins.find("backbones", part) is None:
                raise setting_error(
                    "backbones", no_choice(part, plugins.names("backbones"), also=registry.OR_JOINED, verb="has")
                )
