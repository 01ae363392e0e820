"""Samples whose titles are told with what the catalogue knows of them: their categories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from eimf_core import jsonl
from eimf_core.errors import InputError
from eimf_core.progress import Reporter
from eimf_core.records import Item, Sample
from eimf_core.semantics.labeling_config import LabelConfig
from eimf_core.semantics.prompts import TITLE_LENGTH, clean_title
from eimf_core.semantics.text import categories_beside

LONGEST_CATEGORIES = 70  # characters: a long title leaves room for them, and keeps room itself


def read_samples(path: str | Path, config: LabelConfig, reporter: Reporter) -> list[Sample]:
    """The samples of a file as an engine gets to see them: with categories where a catalogue is given."""
    samples = jsonl.read(path, Sample)
    # one reads the catalogue itself, the other answers by keys alone
    if config.items is None or config.engine in ("categories", "replay"):
        return list(samples)
    return with_categories(samples, config.items, reporter)


def with_categories(samples: Iterable[Sample], path: str | Path, reporter: Reporter) -> list[Sample]:
    """The samples with "title. category, category" in place of each title, by the catalogue at `path`.

    Titles of items that it does not hold, or tells no categories of, stay as they are. Raises InputError
    where it holds no item of the samples.
    """
    samples = list(samples)
    shown = {entry.item for sample in samples for entry in sample.history}
    beside = {item.item: item.categories for item in jsonl.read(path, Item) if item.item in shown}
    if shown and not beside:
        raise InputError("no item of the samples is there; expected the catalogue they come from", file=path)
    if shown and not any(beside.values()):
        reporter.warn(f"{path}: no item of the samples has categories; titles stand alone")
    return [
        msgspec.structs.replace(
            sample,
            history=[
                msgspec.structs.replace(entry, title=told(entry.title, beside.get(entry.item, ())))
                for entry in sample.history
            ],
        )
        for sample in samples
    ]


def told(title: str, categories: Sequence[str]) -> str:
    """A title and its categories, at most TITLE_LENGTH characters; the title as it is where there are none."""
    kept: list[str] = []
    for name in map(clean_title, categories_beside(title, categories)):
        if name and len(", ".join([*kept, name])) <= LONGEST_CATEGORIES:
            kept.append(name)
    if not kept:
        return title
    more, short = ", ".join(kept), clean_title(title)
    room = TITLE_LENGTH - len(more) - len(". ")
    if len(short) > room:
        short = short[: room - 1].rstrip() + "…"
    return f"{short}. {more}" if short else more
