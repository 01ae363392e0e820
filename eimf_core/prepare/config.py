"""What `eimf prepare` can be told: one dataclass, each default and its help written once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from eimf_core.config import setting
from eimf_core.errors import ConfigError
from eimf_core.prepare.value_parsing import value_of

CHOICES = {
    "split": ("temporal", "leave-one-out", "by-user", "none"),
    "target": ("last", "first", "all"),
    "repeats": ("keep", "first", "last"),
    "duplicates": ("drop", "keep"),
    "on_error": ("fail", "skip"),
    "header": ("auto", "yes", "no"),
}
DATES = ("since", "until", "valid_from", "test_from")
FILTERS = ("min_rating", "event", "since", "until", "max_length")
"""Settings that, like the counts and choices beside them, change which interactions are used."""
SPLITS_OF = {
    "target": ("temporal",), "valid_from": ("temporal",), "test_from": ("temporal",),
    "valid_share": ("temporal", "by-user"), "test_share": ("temporal", "by-user"),
}  # fmt: skip
"""Which splits obey a setting."""


@dataclass(frozen=True)
class PrepareConfig:
    """Settings of a preparation; raises ConfigError for a value that makes no sense."""

    format: str = setting("auto", "Format of the log; auto looks at name and first lines.", metavar="NAME")
    split: str = setting("temporal", "temporal, leave-one-out, by-user or none (train on everything).", metavar="NAME")
    target: str = setting("last", "temporal: of the later items the last, first or all.", metavar="WHICH")
    valid_from: str | None = setting(None, "temporal: when validation starts, a date or seconds.", metavar="TIME")
    test_from: str | None = setting(None, "temporal: when testing starts.", metavar="TIME")
    valid_share: float = setting(0.1, "Share for validation, of interactions (temporal) or users (by-user).")
    test_share: float = setting(0.1, "Share for testing, likewise.")
    seed: int = setting(0, "Seed of the draw of by-user.")
    min_user: int = setting(1, "Drop users with fewer interactions, until it holds for all.", metavar="N")
    min_item: int = setting(1, "Drop items with fewer interactions, likewise.", metavar="N")
    min_rating: float | None = setting(None, "Drop lower ratings.", metavar="R")
    event: list[str] = setting([], "Keep this kind of behaviour only; may be repeated.", metavar="NAME")
    since: str | None = setting(None, "Drop what is earlier: a date or seconds.", metavar="TIME")
    until: str | None = setting(None, "Drop what is as late or later.", metavar="TIME")
    duplicates: str = setting("drop", "Same user, item, time and event again: drop or keep.", metavar="WHAT")
    repeats: str = setting("keep", "A user's same item again: keep all, the first or the last.", metavar="WHICH")
    max_length: int | None = setting(None, "Keep a user's last N interactions.", metavar="N")
    user_column: str | None = setting(None, "Column of the user, by name or (no header) number.", metavar="NAME")
    item_column: str | None = setting(None, "Column of the item.", metavar="NAME")
    time_column: str | None = setting(None, "Column of the time: ISO dates or seconds to nanoseconds.", metavar="NAME")
    rating_column: str | None = setting(None, "Column of the rating.", metavar="NAME")
    event_column: str | None = setting(None, "Column of the kind of behaviour.", metavar="NAME")
    title_column: str | None = setting(None, "Column of the title, in the log or in --items.", metavar="NAME")
    category_column: str | None = setting(None, "Column of the categories, likewise.", metavar="NAME")
    header: str = setting("auto", "Columns by number: is the first line a header: auto, yes or no.", metavar="WHAT")
    text_length: int = setting(600, "Characters of a description that are kept.", metavar="N")
    on_error: str = setting("fail", "A bad row: fail, or skip and write it to rejects.jsonl.", metavar="WHAT")
    memory_limit: str = setting("1GB", "Memory for reading and sorting; the rest goes to disk.", metavar="SIZE")
    threads: int = setting(0, "Threads; 0: as many as there are cores, at most 8.")

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise _wrong(name, f"is '{getattr(self, name)}', expected {', '.join(choices[:-1])} or {choices[-1]}")
        for name in ("min_user", "min_item", "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise _wrong(name, f"is {value}, expected 1 or more")
        for name in ("valid_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise _wrong(name, f"is {getattr(self, name)}, expected a share from 0 to below 1")
        if self.valid_share + self.test_share >= 1:
            raise ConfigError("--valid-share and --test-share leave nothing to train on; lower them")
        for name in ("threads", "seed", "text_length"):
            if getattr(self, name) < 0:
                raise _wrong(name, f"is {getattr(self, name)}, expected 0 or more")
        if self.min_rating is not None and not math.isfinite(self.min_rating):
            raise _wrong("min_rating", f"is {self.min_rating}, expected a number")
        if (self.valid_from is None) != (self.test_from is None):
            raise ConfigError("--valid-from and --test-from go together")
        for name, splits in SPLITS_OF.items():
            if self.is_told(name) and self.split not in splits:
                raise _wrong(name, f"goes with --split {' or '.join(splits)}, not with {self.split}")
            if self.is_told(name) and name.endswith("_share") and self.valid_from is not None:
                raise _wrong(name, "has no effect beside --valid-from and --test-from; leave it out")
        moments = {name: self.moment(name) for name in DATES}
        for first, second in (("since", "until"), ("valid_from", "test_from")):
            early, late = moments[first], moments[second]
            if early is not None and late is not None and not early < late:
                raise _wrong(second, f"is not later than --{first.replace('_', '-')}")

    def moment(self, name: str) -> float | None:
        """A setting that is a time, in unix seconds; dates without a zone are UTC."""
        text = getattr(self, name)
        if text is None:
            return None
        value = value_of(text)
        if value is None:
            raise _wrong(name, f"is '{text}', expected a date such as 2020-01-31 or unix seconds")
        return value

    def is_told(self, name: str) -> bool:
        """Whether a setting is not its default."""
        default: object = self.__dataclass_fields__[name].default
        return bool(getattr(self, name) != default)

    def left_empty(self) -> list[str]:
        """The splits of which the shares say that they are to be empty."""
        shared = self.split in SPLITS_OF["valid_share"] and self.valid_from is None
        return [name for name in ("valid", "test") if shared and not getattr(self, f"{name}_share")]

    def filters(self) -> list[str]:
        """The options that drop interactions, as they are written, for those that cannot obey them."""
        given = [name for name in FILTERS if getattr(self, name) not in (None, [])]
        given += [name for name in ("min_user", "min_item") if getattr(self, name) > 1]
        given += ["repeats"] if self.repeats != "keep" else []
        return ["--" + name.replace("_", "-") for name in given]


def _wrong(name: str, problem: str) -> ConfigError:
    return ConfigError(f"--{name.replace('_', '-')} {problem}")
