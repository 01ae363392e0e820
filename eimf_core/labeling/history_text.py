"""What an engine gets to see of the samples: titles, with their categories where a catalogue is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from eimf_core import jsonl
from eimf_core.errors import InputError
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.prompts import TITLE_LENGTH, clean_title
from eimf_core.naming.terms import cut_at_word, title_terms
from eimf_core.progress import Reporter
from eimf_core.records import Item, Sample
from eimf_core.text.encoder_input import MOST_CATEGORIES

BORDER, BETWEEN = " — ", ", "
LONGEST_CATEGORIES = 70  # characters that a long title leaves to them


def read_samples(path: str | Path, config: LabelConfig, reporter: Reporter) -> list[Sample]:
    """The samples of a file as the engine of the settings gets to see them."""
    samples = jsonl.read(path, Sample)
    if config.items is None or not config.shows_categories:
        return list(samples)
    return with_categories(samples, config.items, reporter)


def with_categories(samples: Iterable[Sample], path: str | Path, reporter: Reporter) -> list[Sample]:
    """The samples with "title — category, category" in place of each title, by the catalogue at `path`.

    Titles of items that it does not hold, or tells no categories of, stay as they are. Raises InputError
    where it holds no item of the samples; what makes it look like another catalogue is warned of.
    """
    samples = list(samples)
    titles = {entry.item: entry.title for sample in samples for entry in sample.history}
    found = {item.item: item for item in jsonl.read(path, Item) if item.item in titles}
    if titles and not found:
        raise InputError("no item of the samples is there; expected the catalogue they come from", file=path)
    shown = {
        item: shown_title(title, found[item].categories if item in found else ()) for item, title in titles.items()
    }
    _warn(path, titles, found, shown, reporter)
    return [
        msgspec.structs.replace(
            sample,
            history=[msgspec.structs.replace(entry, title=shown[entry.item]) for entry in sample.history],
        )
        for sample in samples
    ]


def _warn(
    path: str | Path, titles: dict[str, str], found: dict[str, Item], shown: dict[str, str], reporter: Reporter
) -> None:
    missing = len(titles) - len(found)
    if missing:
        reporter.warn(f"{path}: {missing:,} of {len(titles):,} items of the samples are not there: their titles alone")
    others = sum(clean_title(item.title) != clean_title(titles[name]) for name, item in found.items())
    if 2 * others > len(found):
        reporter.warn(
            f"{path}: {others:,} of {len(found):,} items have another title than in the samples; is it their catalogue?"
        )
    if titles and shown == titles:
        reporter.warn(f"{path}: no item of the samples has categories: titles alone")


def shown_title(title: str, categories: Sequence[str]) -> str:
    """A title and its first categories, at most TITLE_LENGTH characters; the title as it is where there are none.

    A category that says what the title or an earlier one says is passed over, one that is too long is cut.
    """
    short = clean_title(title)
    room = max(LONGEST_CATEGORIES, TITLE_LENGTH - len(short) - len(BORDER))
    said = {short.casefold()}
    kept: list[str] = []
    for name in map(clean_title, categories):
        if not name or name.casefold() in said:
            continue
        said.add(name.casefold())
        name = cut_at_word(name, room)
        if len(BETWEEN.join([*kept, name])) <= room:
            kept.append(name)
        if len(kept) == MOST_CATEGORIES:
            break
    if not kept:
        return title
    more = BETWEEN.join(kept)
    left = TITLE_LENGTH - len(more) - len(BORDER)
    if len(short) > left:
        short = short[: left - 1].rstrip() + "…"
    return f"{short}{BORDER}{more}" if short else more


def shown_terms(title: str) -> list[str]:
    """The terms of a title and of the categories beside it; words on two sides of a border make no pair."""
    name, border, more = title.rpartition(BORDER)
    parts = [name, *more.split(BETWEEN)] if border else [title]
    return [term for part in parts for term in title_terms(part)]
