"""What `eimf prepare` can be told: one dataclass, each default and its help written once."""

from __future__ import annotations

from dataclasses import dataclass

from eimf_core.config import setting
from eimf_core.errors import ConfigError

SPLITS = ("temporal", "leave-one-out", "by-user", "none")


@dataclass(frozen=True)
class PrepareConfig:
    """Settings of a preparation; raises ConfigError for a value that makes no sense."""

    format: str = setting("auto", "Format of the log, see above; auto looks at name and first lines.", metavar="NAME")
    split: str = setting("temporal", "temporal, leave-one-out, by-user or none (train on everything).", metavar="NAME")
    min_user: int = setting(1, "Drop users with fewer interactions, again and again until it holds.", metavar="N")
    min_item: int = setting(1, "Drop items with fewer interactions, likewise.", metavar="N")
    user_column: str | None = setting(None, "Column of the user in a table.", metavar="NAME")
    item_column: str | None = setting(None, "Column of the item.", metavar="NAME")
    time_column: str | None = setting(None, "Column of the time: ISO dates, seconds or milliseconds.", metavar="NAME")
    rating_column: str | None = setting(None, "Column of the rating, for --min-rating.", metavar="NAME")
    event_column: str | None = setting(None, "Column of the kind of behaviour.", metavar="NAME")
    title_column: str | None = setting(None, "Column of the title, in the log or in --items.", metavar="NAME")
    category_column: str | None = setting(None, "Column of the categories, likewise.", metavar="NAME")
    valid_share: float = setting(
        0.1, "Share held out for validation: of interactions (temporal) or of users (by-user)."
    )
    test_share: float = setting(0.1, "Share held out for testing, likewise.")
    seed: int = setting(0, "Seed of the draw of by-user.")
    memory_limit: str = setting(
        "1GB", "Memory for reading and sorting the log; more of it goes to disk.", metavar="SIZE"
    )
    threads: int = setting(0, "Threads; 0: as many as there are cores, at most 8.")

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise _wrong("split", f"is '{self.split}', expected {', '.join(SPLITS[:-1])} or {SPLITS[-1]}")
        for name in ("min_user", "min_item"):
            if getattr(self, name) < 1:
                raise _wrong(name, f"is {getattr(self, name)}, expected 1 or more")
        for name in ("valid_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise _wrong(name, f"is {getattr(self, name)}, expected a share from 0 to below 1")
        if self.valid_share + self.test_share >= 1:
            raise ConfigError("--valid-share and --test-share leave nothing to train on; lower them")
        for name in ("threads", "seed"):
            if getattr(self, name) < 0:
                raise _wrong(name, f"is {getattr(self, name)}, expected 0 or more")


def _wrong(name: str, problem: str) -> ConfigError:
    return ConfigError(f"--{name.replace('_', '-')} {problem}")
