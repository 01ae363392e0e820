"""Checks of names: rejected are titles of the history, the prompt's own example, numbers and a foreign script.

Small models copy what stands before them. Each reason goes with the words that a model is asked again with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from eimf_core.labeling.title_shortening import informative_words

Reason = Literal["form", "title", "example", "number", "script"]

HINTS: dict[Reason, str] = {
    "form": "",
    "title": "Do not copy a title. Say in one to three words what kind of things these are.",
    "example": "Do not repeat the example. Name the interests that these titles show.",
    "number": "Write words, no numbers of titles.",
    "script": "Write the names in {language} letters only.",
}
"""What is said below the titles when an answer was rejected for a reason."""

DESCRIPTIONS: dict[Reason, str] = {
    "form": "has not the form of an answer",
    "title": "is a title of the history",
    "example": "repeats the example of the instructions",
    "number": "is the number of a title",
    "script": "is written in another script than asked for",
}
"""What an error says of a name."""

MIN_COMMON_SHARE = 2 / 3  # so much of a title is most of it
ENOUGH_TO_SHARE = 2  # titles that hold all words of a name: it says what they have in common
BORDER = " — "  # between title and categories, as prompts show them
_WORD = re.compile(r"[^\W_]+")
_BRACKETED = re.compile(r"[(\[][^()\[\]]*[)\]]")
_NUMBER = re.compile(r"\W*\d+\s*([.:)\]]|$)")
_ANY_KIND = frozenset({"accessories", "equipment", "films", "gear", "goods", "items", "products", "supplies", "tools"})
_SHORT_STEM = 4  # letters of a word that tell what it is about; shorter words tell nothing
# scripts of languages that are not written in Latin letters, as Unicode names its characters
_SCRIPTS = {
    "arabic": ("ARABIC",), "persian": ("ARABIC",), "urdu": ("ARABIC",), "hebrew": ("HEBREW",), "greek": ("GREEK",),
    "russian": ("CYRILLIC",), "ukrainian": ("CYRILLIC",), "bulgarian": ("CYRILLIC",), "serbian": ("CYRILLIC",),
    "macedonian": ("CYRILLIC",), "belarusian": ("CYRILLIC",), "kazakh": ("CYRILLIC",), "mongolian": ("CYRILLIC",),
    "chinese": ("CJK",), "japanese": ("CJK", "HIRAGANA", "KATAKANA"), "korean": ("HANGUL", "CJK"),
    "hindi": ("DEVANAGARI",), "marathi": ("DEVANAGARI",), "nepali": ("DEVANAGARI",), "bengali": ("BENGALI",),
    "tamil": ("TAMIL",), "telugu": ("TELUGU",), "thai": ("THAI",), "georgian": ("GEORGIAN",),
    "armenian": ("ARMENIAN",), "amharic": ("ETHIOPIC",), "khmer": ("KHMER",), "burmese": ("MYANMAR",),
}  # fmt: skip
LATIN = "LATIN"


@dataclass(frozen=True)
class History:
    """What names are held against: the clean titles and categories of a history, and the language asked for."""

    titles: Sequence[str]
    categories: frozenset[str]
    language: str = ""


def rejection_reason(name: str, history: History, examples: Iterable[str]) -> Reason | None:
    """Why a name is no interest of this history.

    Args:
        name: as a model wrote it.
        history: what the model was asked about.
        examples: the names in the prompt's own example. A name with a word of theirs that the history has nothing of is
            drawn from them: "model trains" where the example has "model railways".

    Returns:
        The reason in a word; None where nothing speaks against the name.
    """
    if _NUMBER.match(name):
        return "number"
    if not _in_script(name, history):
        return "script"
    if not _speaks_of(name, history) and _stems(name) & {stem for example in examples for stem in _stems(example)}:
        return "example"
    if name.casefold() not in history.categories and _copies(name, history.titles):
        return "title"
    return None


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

    The title is taken whole, without what stands in brackets, and as prompts show it.
    """
    named = set(_words(name.partition(BORDER)[0]))
    for form in {title, _BRACKETED.sub(" ", title), informative_words(title)}:
        titled = set(_words(form))
        common = len(named & titled)
        if titled and named and common >= MIN_COMMON_SHARE * max(len(named), len(titled)):
            return True
    return False


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _speaks_of(name: str, history: History) -> bool:
    """Whether titles or categories have a word of the name, or one that begins like it."""
    stems = _stems(name)
    return any(stems & _stems(text) for text in (*history.titles, *history.categories))


def _stems(text: str) -> set[str]:
    words = (word for word in _words(text) if len(word) >= _SHORT_STEM and word not in _ANY_KIND)
    return {word[:_SHORT_STEM] for word in words}


def _in_script(name: str, history: History) -> bool:
    """Whether all letters are of a script that was asked for: the language's, or without one the titles'.

    Latin letters are allowed everywhere, for names of makers; but not alone where another script was asked for.
    """
    wanted = _SCRIPTS.get(history.language.strip().casefold(), ())
    found = scripts(name)
    if wanted:
        return bool(found & set(wanted)) and found <= {LATIN, *wanted}
    foreign = found - {LATIN}
    if not foreign:
        return True
    return not history.language and foreign <= scripts(" ".join(history.titles))


def scripts(text: str) -> set[str]:
    """The scripts of the letters of a text, by the first word of their Unicode names."""
    return {LATIN if char.isascii() else _script(char) for char in set(text) if char.isalpha()}


def _script(char: str) -> str:
    first = unicodedata.name(char, "").partition(" ")[0]
    # superscripts, letters of units and the like belong to no script
    return first if first not in ("MODIFIER", "FEMININE", "MASCULINE", "MICRO", "") else LATIN
