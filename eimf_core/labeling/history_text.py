"""What an engine gets to see of the samples: clean titles, with their categories where a catalogue is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from eimf_core import dataset, jsonl
from eimf_core.errors import InputError
from eimf_core.naming.terms import cut_at_word, title_terms
from eimf_core.progress import Reporter
from eimf_core.records import HistoryItem, Sample
from eimf_core.text.encoder_input import MOST_CATEGORIES
from eimf_core.text_cleaning import clean

TITLE_LENGTH = 120
BORDER, BETWEEN = " — ", ", "
LONGEST_CATEGORIES = 70  # characters that a long title leaves to them


@dataclass(frozen=True)
class CleanSample:
    """A sample with clean titles. `raw_titles` are those of the file, which the hash of a request covers."""

    sample: Sample
    raw_titles: list[str]

    def latest(self, most: int) -> CleanSample:
        """With the latest `most` items that have a title."""
        pairs = [(entry, raw) for entry, raw in zip(self.sample.history, self.raw_titles, strict=True) if entry.title][
            -most:
        ]
        history = [entry for entry, _ in pairs]
        return CleanSample(msgspec.structs.replace(self.sample, history=history), [raw for _, raw in pairs])


def clean_title(title: str) -> str:
    """A title in one line, without characters that nobody sees, at most TITLE_LENGTH long."""
    return _shortened(clean(title))


def _shortened(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1].rstrip() + "…"


def read_samples(path: str | Path, catalogue: str | None, reporter: Reporter) -> list[CleanSample]:
    """The samples of a file, with clean titles.

    With a `catalogue` a title is "title — category, category"; titles of items that it does not hold, or tells no
    categories of, stay alone. What makes it look like another catalogue than that of the samples is warned of.

    Raises:
        InputError: for a bad line, and for a catalogue that holds no item of the samples.
    """
    samples = list(jsonl.read(path, Sample))
    entries = dict.fromkeys((entry.item, entry.title) for sample in samples for entry in sample.history)
    titles = {(item, title): clean_title(title) for item, title in entries}
    displayed = titles if catalogue is None else _with_categories(titles, catalogue, reporter)
    return [_clean(sample, titles, displayed) for sample in samples]


Titles = dict[tuple[str, str], str]  # by an item and its title in the file


def _clean(sample: Sample, titles: Titles, displayed: Titles) -> CleanSample:
    keys = [(entry.item, entry.title) for entry in sample.history]
    history = [HistoryItem(item=key[0], title=displayed[key]) for key in keys]
    raw = [key[1] if displayed[key] == titles[key] else displayed[key] for key in keys]
    return CleanSample(msgspec.structs.replace(sample, history=history), raw)


def _with_categories(titles: Titles, path: str, reporter: Reporter) -> Titles:
    title_of = {item: title for (item, _), title in titles.items()}
    found = {item.item: item for item in dataset.read_items(path) if item.item in title_of}
    if titles and not found:
        raise InputError("holds no item of the samples; expected the catalogue they come from", file=path)
    missing = len(title_of) - len(found)
    if missing:
        reporter.warn(
            f"{path}: lacks {missing:,} of {len(title_of):,} items of the samples; they are shown without categories"
        )
    others = sum(_shortened(item.title) != title_of[name] for name, item in found.items())
    if 2 * others > len(found):
        reporter.warn(
            f"{path}: {others:,} of {len(found):,} items have another title than in the samples; is it the right file?"
        )
    displayed = {
        (item, raw): displayed_title(title, found[item].categories if item in found else ())
        for (item, raw), title in titles.items()
    }
    if titles and displayed == titles:
        reporter.warn(f"{path}: no item of the samples has categories; --items changes nothing")
    return displayed


def displayed_title(title: str, categories: Sequence[str]) -> str:
    """A title and its first categories, at most TITLE_LENGTH characters; the title alone where there are none.

    Title and categories are clean. A category that says what the title or an earlier one says is passed over,
    one that is too long is cut.
    """
    room = max(LONGEST_CATEGORIES, TITLE_LENGTH - len(title) - len(BORDER))
    present = {title.casefold()}
    kept: list[str] = []
    for name in categories:
        if name.casefold() in present:
            continue
        present.add(name.casefold())
        name = cut_at_word(name, room)
        if len(BETWEEN.join([*kept, name])) <= room:
            kept.append(name)
        if len(kept) == MOST_CATEGORIES:
            break
    if not kept:
        return title
    more = BETWEEN.join(kept)
    left = TITLE_LENGTH - len(more) - len(BORDER)
    if len(title) > left:
        title = title[: left - 1].rstrip() + "…"
    return f"{title}{BORDER}{more}" if title else more


def displayed_terms(title: str) -> list[str]:
    """The terms of a title and of the categories beside it; words on two sides of a border make no pair."""
    name, border, more = title.rpartition(BORDER)
    parts = [name, *more.split(BETWEEN)] if border else [title]
    return [term for part in parts for term in title_terms(part)]
