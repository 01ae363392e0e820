"""Settings of `prepare`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from eimf_core.config import MAX_THREADS, check, option_name, setting, setting_error
from eimf_core.errors import ConfigError
from eimf_core.prepare.value_parsing import parse_time

APPLIES_TO = {
    "target": ("temporal",), "valid_from": ("temporal",), "test_from": ("temporal",),
    "valid_share": ("temporal", "by-user"), "test_share": ("temporal", "by-user"), "seed": ("by-user",),
}  # fmt: skip
"""The splits that a setting goes with."""
ESCAPE = re.compile(r"\\t|\\x([0-9a-fA-F]{2})")
LONGEST_SEPARATOR = 4
"""Bytes of a separator, as DuckDB has it."""
TIME_DIRECTIVES = "aAbBdfHIjmMpSyYz%"
"""The letters behind % that DuckDB and Python read alike."""
PERIODS = (("since", "until"), ("valid_from", "test_from"))
FILTERS = ("min_rating", "event", "since", "until", "repeats", "min_user", "min_item", "max_length")
"""Settings that drop interactions; `duplicates` drops what is no interaction of its own."""


@dataclass(frozen=True)
class PrepareConfig:
    """Settings of a preparation.

    Raises:
        ConfigError: for a value out of bounds, and for settings that exclude each other.
    """

    format: str = setting("auto", "Format of the log; auto looks at name and first lines.", metavar="NAME")
    split: Literal["temporal", "leave-one-out", "by-user", "none"] = setting(
        "temporal", "How users are split; none: train on everything."
    )
    min_user: int = setting(1, "Drop users with fewer interactions, until it holds for all.", low=1, metavar="N")
    min_item: int = setting(1, "Drop items with fewer interactions, likewise.", low=1, metavar="N")
    on_error: Literal["fail", "skip"] = setting("fail", "A bad row: fail, or skip and write it to rejects.jsonl.")
    target: Literal["last", "first", "all"] = setting(
        "last", "temporal: which of the later items are to be predicted.", advanced=True
    )
    valid_from: str | None = setting(
        None, "temporal: when validation starts, a date or seconds.", advanced=True, metavar="TIME"
    )
    test_from: str | None = setting(None, "temporal: when testing starts.", advanced=True, metavar="TIME")
    valid_share: float = setting(
        0.1, "Share for validation, of interactions (temporal) or users (by-user).", low=0, below=1, advanced=True
    )
    test_share: float = setting(0.1, "Share for testing, likewise.", low=0, below=1, advanced=True)
    seed: int = setting(0, "by-user: seed of the draw.", low=0, advanced=True)
    user_column: str | None = setting(
        None, "Column of the user, by name or (no header) number.", group="data", metavar="NAME"
    )
    item_column: str | None = setting(None, "Column of the item.", group="data", metavar="NAME")
    time_column: list[str] = setting(
        [], "Column of the time; again: a date and its clock, or what orders equal times.", group="data", metavar="NAME"
    )
    time_format: str | None = setting(
        None,
        "How dates are written, such as '%d.%m.%Y %H:%M', where it cannot be told.",
        group="data",
        advanced=True,
        metavar="FORMAT",
    )
    rating_column: str | None = setting(None, "Column of the rating.", group="data", advanced=True, metavar="NAME")
    event_column: str | None = setting(
        None, "Column of the kind of behaviour.", group="data", advanced=True, metavar="NAME"
    )
    title_column: str | None = setting(
        None, "Column of the title, in the log or in --items.", group="data", metavar="NAME"
    )
    category_column: str | None = setting(
        None, "Column of the categories, likewise.", group="data", advanced=True, metavar="NAME"
    )
    items_item_column: str | None = setting(
        None,
        "Column of the item in --items, where it is called otherwise there.",
        group="data",
        advanced=True,
        metavar="NAME",
    )
    items_title_column: str | None = setting(
        None, "Column of the title in --items.", group="data", advanced=True, metavar="NAME"
    )
    items_category_column: str | None = setting(
        None, "Column of the categories in --items.", group="data", advanced=True, metavar="NAME"
    )
    items_text_column: str | None = setting(
        None, "Column of the description in --items.", group="data", advanced=True, metavar="NAME"
    )
    header: Literal["auto", "yes", "no"] = setting(
        "auto", "Columns by number: whether the first line is a header.", group="data"
    )
    separator: str | None = setting(
        None,
        "What separates the columns of the log, such as '~' or '\\t'.",
        group="data",
        advanced=True,
        metavar="TEXT",
    )
    skip_lines: int = setting(
        0, "Lines before the header or the first row of the log.", group="data", low=0, advanced=True, metavar="N"
    )
    min_rating: float | None = setting(None, "Drop lower ratings.", group="data", metavar="R")
    event: list[str] = setting([], "Keep this kind of behaviour only; may be repeated.", group="data", metavar="NAME")
    since: str | None = setting(None, "Drop what is earlier: a date or seconds.", group="data", metavar="TIME")
    until: str | None = setting(None, "Drop what is as late or later.", group="data", metavar="TIME")
    max_length: int | None = setting(None, "Keep a user's last N interactions.", group="data", low=1, metavar="N")
    repeats: Literal["keep", "first", "last"] = setting(
        "keep", "A user's same item again: keep all, the first or the last.", group="data", advanced=True
    )
    duplicates: Literal["drop", "keep"] = setting(
        "drop", "Same user, item, time and event again.", group="data", advanced=True
    )
    hash_users: bool = setting(
        False,
        "Write a hash (SHA-256) in place of each user id. Who guesses an id, such as an e-mail address, can check it.",
        group="data",
        advanced=True,
    )
    text_length: int = setting(600, "Characters of a description that are kept.", group="data", low=0, config_only=True)
    memory_limit: str = setting(
        "1GB", "Memory for reading and sorting; the rest goes to disk.", group="machine", advanced=True, metavar="SIZE"
    )
    threads: int = setting(
        0,
        "Threads; 0: as many as there are cores, at most 8.",
        group="machine",
        low=0,
        high=MAX_THREADS,
        advanced=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.separator is not None:
            object.__setattr__(self, "separator", _separator(self.separator))
        _check_time_format(self.time_format)
        if self.valid_share + self.test_share >= 1:
            raise ConfigError("--valid-share and --test-share leave nothing to train on; lower them")
        for name, splits in APPLIES_TO.items():
            if self.is_set(name) and self.split not in splits:
                raise setting_error(name, f"goes with --split {' or '.join(splits)}, not with {self.split}")
            if self.is_set(name) and name.endswith("_share") and self.valid_from is not None:
                raise setting_error(name, "has no effect beside --valid-from and --test-from; leave it out")
        if (self.valid_from is None) != (self.test_from is None):
            raise ConfigError("--valid-from and --test-from go together")
        for first, second in PERIODS:
            start, end = self.seconds(first), self.seconds(second)
            if start is not None and end is not None and not start < end:
                raise setting_error(second, f"is not later than {option_name(first)}")

    def seconds(self, name: str) -> float | None:
        """A setting that is a time, in unix seconds; dates without a zone are UTC."""
        text = getattr(self, name)
        value = None if text is None else parse_time(text)
        if text is not None and value is None:
            raise setting_error(name, f"is '{text}', expected a date such as 2020-01-31 or unix seconds")
        return value

    def is_set(self, name: str) -> bool:
        """Whether a setting is not its default."""
        field = self.__dataclass_fields__[name]
        return bool(getattr(self, name) != ([] if callable(field.default_factory) else field.default))

    def empty_splits(self) -> list[str]:
        """The splits that a share of 0 leaves empty."""
        shared = self.split in APPLIES_TO["valid_share"] and self.valid_from is None
        return [name for name in ("valid", "test") if shared and not getattr(self, f"{name}_share")]

    def options_set(self, *names: str) -> list[str]:
        """Those of the settings that are not their defaults, as they are written on the command line."""
        return [option_name(name) for name in names if self.is_set(name)]


def _separator(text: str) -> str:
    """The separator that is meant: \\t and \\x01 are written out."""
    found = ESCAPE.sub(lambda code: "\t" if code[0] == r"\t" else chr(int(code[1], 16)), text)
    if not found or len(found.encode()) > LONGEST_SEPARATOR or "\n" in found or "\r" in found:
        raise setting_error(
            "separator", f"is '{text}', expected 1 to {LONGEST_SEPARATOR} characters such as '~' or '\\t'"
        )
    return found


def _check_time_format(form: str | None) -> None:
    """ConfigError for a format that not both DuckDB and Python know."""
    unknown = [code for code in re.findall("%(.?)", form or "") if code not in TIME_DIRECTIVES or not code]
    if unknown or (form is not None and "%" not in form):
        raise setting_error(
            "time_format", f"is '{form}', expected directives of strptime such as %Y, %m, %d, %H, %M, %S, %b, %p and %z"
        )
