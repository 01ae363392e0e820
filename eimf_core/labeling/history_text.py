"""What is known of the samples in words: clean titles and categories, and what of them a prompt shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from eimf_core import dataset
from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.labeling.title_shortening import informative_words
from eimf_core.naming.terms import cut_at_word, title_terms, title_words
from eimf_core.progress import Reporter
from eimf_core.records import HistoryItem, Sample
from eimf_core.text.encoder_input import MAX_CATEGORIES
from eimf_core.text_cleaning import clean, shortened

TITLE_LENGTH = 120
BORDER, BETWEEN = " — ", ", "
SHOWN_CATEGORIES = 2  # beside a title in a prompt: the last ones, since many catalogues begin with the widest
DESCRIPTIVE_SHARE = 0.6  # of the titles of a history that share a word with another: they are no mere names
SAME_SHARE = 0.6  # of the words of two short titles: they say much the same
LONGEST_CATEGORIES = 70  # characters that a long title leaves to them


@dataclass(frozen=True)
class PromptHistory:
    """The lines of a prompt. `lines` are (an item, text), `members` the positions in the history that each stands for.

    Titles that are much the same once they are short are one line.
    """

    lines: list[HistoryItem]
    members: list[list[int]]


@dataclass(frozen=True)
class CleanSample:
    """A sample in clean words.

    Attributes:
        sample: its history has titles with their categories beside them, as engines read them that see whole titles.
        titles: the titles alone, one per entry of the history, at most `TITLE_LENGTH` long.
        categories: those of each entry.
    """

    sample: Sample
    titles: list[str]
    categories: list[tuple[str, ...]]

    def short(self, most: int) -> PromptHistory:
        """The latest `most` lines for a prompt: titles cut to their informative words.

        Categories stand beside them where titles are names, as those of films and restaurants are. Small models repeat
        the categories that they see: where titles say what things are, these are more precise.
        """
        history = self.sample.history
        found: list[tuple[int, str, list[int]]] = []
        for at in range(len(self.titles) - 1, -1, -1):
            title = informative_words(self.titles[at])
            words = _words(title)
            same = next((members for _, other, members in found if _near_duplicate(words, other)), None)
            if same is not None:
                same.append(at)
            elif (title or self.categories[at]) and len(found) < most:
                found.append((at, title, [at]))
        found.reverse()
        bare = _are_descriptive([title for _, title, _ in found])
        lines = [
            HistoryItem(
                item=history[at].item,
                title=displayed_title(title, () if bare and title else self.categories[at][-SHOWN_CATEGORIES:]),
            )
            for at, title, _ in found
        ]
        return PromptHistory(lines, [sorted(members) for _, _, members in found])

    def whole(self, most: int) -> PromptHistory:
        """The latest `most` entries with their bare titles, as they are."""
        kept = [at for at, title in enumerate(self.titles) if title][-most:]
        lines = [HistoryItem(item=self.sample.history[at].item, title=self.titles[at]) for at in kept]
        return PromptHistory(lines, [[at] for at in kept])

    def everything(self) -> PromptHistory:
        """The history as it is, for engines that ask no language model."""
        return PromptHistory(self.sample.history, [[at] for at in range(len(self.titles))])


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))


def _near_duplicate(words: frozenset[str], title: str) -> bool:
    others = _words(title)
    return words == others or len(words & others) >= SAME_SHARE * len(words | others) > 0


def _are_descriptive(titles: Sequence[str]) -> bool:
    """Whether titles have words in common, as those of goods have and names have not."""
    words = [set(title_words(title)) for title in titles]
    counts = Counter(word for each in words for word in each)
    return sum(any(counts[word] > 1 for word in each) for each in words) >= DESCRIPTIVE_SHARE * len(titles) > 0


def clean_title(title: str) -> str:
    """A title in one line, without characters that nobody sees, at most TITLE_LENGTH long."""
    return shortened(clean(title), TITLE_LENGTH)


def read_samples(path: str | Path, catalogue: str | None, reporter: Reporter) -> list[CleanSample]:
    """The samples of a file, in clean words.

    Args:
        path: a file of Sample lines, or "-".
        catalogue: items whose categories count in place of those in the samples. What makes it look like another
            catalogue than that of the samples is warned of.
        reporter: receives the warnings.

    Returns:
        The samples in the order of the file.

    Raises:
        InputError: for a bad line, and for a catalogue that holds no item of the samples.
    """
    samples = list(jsonl.read(path, Sample))
    titles = {entry.title: clean_title(entry.title) for sample in samples for entry in sample.history}
    categories: dict[str, tuple[str, ...]] = {}
    for sample in samples:
        for entry in sample.history:
            if entry.item not in categories:
                categories[entry.item] = tuple(filter(None, map(clean, entry.categories or ())))
    if catalogue is not None:
        shown = {entry.item: titles[entry.title] for sample in samples for entry in sample.history}
        categories = _of_catalogue(shown, catalogue, reporter)
    return [_clean(sample, titles, categories) for sample in samples]


def _clean(sample: Sample, titles: dict[str, str], categories: dict[str, tuple[str, ...]]) -> CleanSample:
    bare = [titles[entry.title] for entry in sample.history]
    beside = [categories.get(entry.item, ()) for entry in sample.history]
    history = [
        HistoryItem(item=entry.item, title=displayed_title(title, names), categories=list(names) or None)
        for entry, title, names in zip(sample.history, bare, beside, strict=True)
    ]
    return CleanSample(msgspec.structs.replace(sample, history=history), bare, beside)


def _of_catalogue(title_of: dict[str, str], path: str, reporter: Reporter) -> dict[str, tuple[str, ...]]:
    """The categories of items, from the catalogue; `title_of` are the clean titles in the samples."""
    found = {item.item: item for item in dataset.read_items(path) if item.item in title_of}
    if title_of and not found:
        raise InputError("holds no item of the samples; expected the catalogue they come from", file=path)
    missing = len(title_of) - len(found)
    if missing:
        reporter.warn(
            f"{path}: lacks {missing:,} of {len(title_of):,} items of the samples; they are shown without categories"
        )
    others = sum(shortened(item.title, TITLE_LENGTH) != title_of[name] for name, item in found.items())
    if 2 * others > len(found):
        reporter.warn(
            f"{path}: {others:,} of {len(found):,} items have another title than in the samples; is it the right file?"
        )
    if title_of and not any(item.categories for item in found.values()):
        reporter.warn(f"{path}: no item of the samples has categories; --items changes nothing")
    return {name: tuple(item.categories) for name, item in found.items()}


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
        if len(kept) == MAX_CATEGORIES:
            break
    if not kept:
        return title
    more = BETWEEN.join(kept)
    left = TITLE_LENGTH - len(more) - len(BORDER)
    title = shortened(title, left)
    return f"{title}{BORDER}{more}" if title else more


def displayed_terms(title: str) -> list[str]:
    """The terms of a title and of the categories beside it; words on two sides of a border make no pair."""
    name, border, more = title.rpartition(BORDER)
    parts = [name, *more.split(BETWEEN)] if border else [title]
    return [term for part in parts for term in title_terms(part)]
