"""Checks of names: rejected are titles of the history, the prompt's own example, numbers, a foreign script and loops.

Small models copy what stands before them, or write on until they are stopped. Each reason goes with the words that a
model is asked again with.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eimf_core.labeling import name_scripts
from eimf_core.labeling.title_shortening import informative_words

Reason = Literal["form", "title", "example", "number", "script", "repetition", "length"]

HINTS: dict[Reason, str] = {
    "form": "",
    "title": "Do not copy a title. Say in one to three words what kind of things these are.",
    "example": "Do not repeat the example. Name the interests that these titles show.",
    "number": "Write words, no numbers of titles.",
    "script": "Write the names in {language} letters only.",
    "repetition": "Write no word twice in a name.",
    "length": "Write one to three words for each name.",
}
"""What is said below the titles when an answer was rejected for a reason."""

DESCRIPTIONS: dict[Reason, str] = {
    "form": "has not the form of an answer",
    "title": "is a title of the history",
    "example": "repeats the example of the instructions",
    "number": "is the number of a title",
    "script": "is written in another script than asked for",
    "repetition": "has a word twice",
    "length": "is as long as a name may get, so it was probably cut",
}
"""What an error says of a name."""

MIN_COMMON_SHARE = 2 / 3  # so much of a title is most of it
ENOUGH_TO_SHARE = 2  # titles that hold all words of a name: it says what they have in common
BORDER = " — "  # between title and categories, as prompts show them
BETWEEN_NAMES = re.compile(r"\s*[,，、](?!\d)\s*")
"""What stands between several names in one."""
_WORD = re.compile(r"[^\W_]+")
_BRACKETED = re.compile(r"[(\[][^()\[\]]*[)\]]")
_PARTS = re.compile(r": | [-–] ")  # of a title, each of which may be copied
_PART_WORDS = 2  # a part of one word may be a kind of things
# a decimal point is none behind a number of a list
_NUMBER = re.compile(r"\W*[\d.:]*\d\s*([.:)\]](?!\d)|$)")
_ANY_KIND = frozenset({"accessories", "equipment", "films", "gear", "goods", "items", "products", "supplies", "tools"})
_SHORT_STEM = 4  # letters of a word that tell what it is about; shorter words tell nothing
_HYPHENATED = re.compile(r"[^\W_]+(?:-[^\W_]+)*")  # yo-yo and face-to-face are one word


@dataclass(frozen=True)
class History:
    """What names are held against: the clean titles and categories of a history, and the language asked for."""

    titles: Sequence[str]
    categories: frozenset[str]
    language: str = ""

    @functools.cached_property
    def stems(self) -> frozenset[str]:
        """How the words of titles and categories begin."""
        return frozenset(stem for text in (*self.titles, *self.categories) for stem in _stems(text))


@dataclass(frozen=True)
class Instructions:
    """What a prompt shows a model of names.

    Attributes:
        names: in the answers of its examples.
        titles: in the questions of its examples, with a number or a dash before each or not.
        longest: characters of a name that the schema allows, at which a grammar cuts it; None where it does not say.
    """

    names: Sequence[str] = ()
    titles: Sequence[str] = ()
    longest: int | None = None


def rejection_reason(name: str, history: History, instructions: Instructions) -> Reason | None:
    """Why a name is no interest of this history.

    Of several names in one, with commas between them, each is judged. A category of the items is none of these.

    Args:
        name: as a model wrote it.
        history: what the model was asked about.
        instructions: what the prompt shows, from which names may be drawn.

    Returns:
        The reason in a word; None where nothing speaks against the name.
    """
    if not name_scripts.fits(name, history.language, (*history.titles, *history.categories)):
        return "script"
    if name.casefold() in history.categories:
        return None
    if instructions.longest is not None and len(name) >= instructions.longest:
        return "length"
    if _repeats_a_word(name):
        return "repetition"
    parts = [part for part in BETWEEN_NAMES.split(name) if part.casefold() not in history.categories]
    reasons = (_reason(each, history, instructions) for each in dict.fromkeys((", ".join(parts), *parts)))
    return next(filter(None, reasons), None)


def _reason(name: str, history: History, instructions: Instructions) -> Reason | None:
    if _NUMBER.match(name):
        return "number"
    if _is_of_example(name, history, instructions):
        return "example"
    return "title" if _copies(name, history.titles) else None


def reason_of(error: str) -> Reason:
    """The reason that the error of an earlier label tells."""
    return next((reason for reason, said in DESCRIPTIONS.items() if error.endswith(said)), "form")


def hint(reason: Reason, language: str) -> str:
    """What to say below the titles after an answer that was rejected for a reason."""
    return HINTS[reason].format(language=language or "the titles'")


def _copies(name: str, titles: Sequence[str]) -> bool:
    """Whether a name is one of the titles, and not what two different ones have in common."""
    named = set(_words(name))
    if not any(is_title(name, title) for title in titles):
        return False
    holding = {frozenset(_words(title)) for title in titles if named.issubset(_words(title))}
    return len(holding) < ENOUGH_TO_SHARE


def is_title(name: str, title: str) -> bool:
    """Whether a name is a title or most of one: each holds `MIN_COMMON_SHARE` of the words of the other.

    The title is taken whole, without what stands in brackets, as prompts show it, and in its parts: a series and an
    episode, a maker and a thing.
    """
    named = set(_words(name.partition(BORDER)[0]))
    bare = _BRACKETED.sub(" ", title)
    parts = {part for part in _PARTS.split(bare) if len(_words(part)) >= _PART_WORDS}
    for form in {title, bare, informative_words(title)} | parts:
        titled = set(_words(form))
        common = len(named & titled)
        if titled and named and common >= MIN_COMMON_SHARE * max(len(named), len(titled)):
            return True
    return False


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _repeats_a_word(name: str) -> bool:
    words = [word for word in _HYPHENATED.findall(name.casefold()) if len(word) >= _SHORT_STEM]
    return len(set(words)) < len(words)


def _is_of_example(name: str, history: History, instructions: Instructions) -> bool:
    """Whether a name is drawn from the prompt's example.

    It has a word of the example's names and none of the history, as "model trains" where the example has "model
    railways"; or it is a name or a title of the example, and not all of its words are the history's as well.
    """
    stems = _stems(name)
    foreign = stems - history.stems
    if foreign and any(stems == _stems(example) for example in (*instructions.names, *instructions.titles)):
        return True
    return foreign == stems and bool(stems & {stem for example in instructions.names for stem in _stems(example)})


def _stems(text: str) -> set[str]:
    words = (word for word in _words(text) if len(word) >= _SHORT_STEM and word not in _ANY_KIND)
    return {word[:_SHORT_STEM] for word in words}
