"""The script of a name: that of the language that was asked for, or else that of the titles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LATIN = "LATIN"
JAPANESE = frozenset({"HIRAGANA", "KATAKANA", "CJK"})  # written together
# Languages by their English names and codes, those in Latin letters by their own names too: a language that is named
# in other letters shows its script. Scripts are called as Unicode names their characters.
_LANGUAGES = {
    "LATIN": "latin romanized english american british en german deutsch de french français francais fr spanish "
    "español espanol castellano es portuguese português portugues brazilian pt italian italiano it dutch nederlands "
    "flemish nl swedish svenska sv norwegian norsk bokmål nynorsk no nb nn danish dansk da finnish suomi fi icelandic "
    "is polish polski pl czech čeština cs slovak slovenčina sk slovenian slovene sl hungarian magyar hu romanian "
    "română ro croatian hrvatski hr bosnian bs serbian sr albanian sq estonian eesti et latvian lv lithuanian lt "
    "turkish türkçe turkce tr azerbaijani az uzbek uz kazakh kk indonesian bahasa id malay ms filipino tagalog fil tl "
    "vietnamese vi swahili sw afrikaans af zulu zu yoruba yo hausa ha somali so catalan català ca basque euskara eu "
    "galician gl irish ga welsh cy maltese mt esperanto eo",
    "CYRILLIC": "cyrillic russian ru ukrainian uk bulgarian bg serbian sr bosnian bs macedonian mk belarusian be "
    "kazakh kk kyrgyz ky tajik tg tatar tt uzbek uz mongolian mn",
    "ARABIC": "arabic ar persian farsi dari fa urdu ur pashto ps kurdish ku sindhi sd uyghur ug punjabi pa",
    "HEBREW": "hebrew he yiddish yi",
    "GREEK": "greek el",
    "GEORGIAN": "georgian ka",
    "ARMENIAN": "armenian hy",
    "CJK": "chinese mandarin cantonese zh yue korean ko",
    "HIRAGANA": "japanese ja 日本語",
    "HANGUL": "korean ko",
    "DEVANAGARI": "hindi hi marathi mr nepali ne sanskrit sa sindhi sd",
    "BENGALI": "bengali bangla bn assamese as",
    "GURMUKHI": "punjabi pa",
    "GUJARATI": "gujarati gu",
    "ORIYA": "odia oriya or",
    "TAMIL": "tamil ta",
    "TELUGU": "telugu te",
    "KANNADA": "kannada kn",
    "MALAYALAM": "malayalam ml",
    "SINHALA": "sinhala sinhalese si",
    "THAI": "thai th",
    "LAO": "lao lo",
    "KHMER": "khmer km",
    "MYANMAR": "burmese my",
    "TIBETAN": "tibetan bo",
    "ETHIOPIC": "amharic am tigrinya ti",
}
_SCRIPTS = {script: frozenset(words.split()) for script, words in _LANGUAGES.items()}
_BETWEEN_WORDS = re.compile(r"[\W_]+")
# first words of names of characters that are of a script, or of none
_OTHERWISE_CALLED = {"IDEOGRAPHIC": "CJK", "KATAKANA-HIRAGANA": "KATAKANA"}
_OF_NO_SCRIPT = frozenset({"MODIFIER", "FEMININE", "MASCULINE", "MICRO", ""})
_WIDTHS = frozenset({"HALFWIDTH", "FULLWIDTH"})


def fits(name: str, language: str, titles: Iterable[str]) -> bool:
    """Whether all letters of a name are of a script that was asked for: the language's, or without one the titles'.

    Latin letters are allowed everywhere, for names of makers; but not alone where another script was asked for.

    Args:
        name: of an interest.
        language: that names should be in, in any words; empty for that of the titles. One that is not known allows any.
        titles: of the history.

    Returns:
        False where a letter is of another script.
    """
    found = _scripts(name)
    if not language.strip():
        return found <= _together(_scripts(" ".join(titles))) | {LATIN}
    wanted = _of_language(language)
    return not wanted or (bool(found & wanted) and found <= wanted | {LATIN})


def _of_language(language: str) -> set[str]:
    """The scripts of a language, or of all that are named; none where not one is known."""
    words = set(_BETWEEN_WORDS.split(language.casefold()))
    known = {script for script, languages in _SCRIPTS.items() if words & languages}
    return _together(known | (_scripts(language) - {LATIN}))


def _scripts(text: str) -> set[str]:
    """The scripts of the letters of a text."""
    return {LATIN if char.isascii() else _script(char) for char in set(text) if char.isalpha()}


def _together(scripts: set[str]) -> set[str]:
    return scripts | JAPANESE if scripts & {"HIRAGANA", "KATAKANA"} else scripts


def _script(char: str) -> str:
    first, _, others = unicodedata.name(char, "").partition(" ")
    if first in _WIDTHS:
        first = others.partition(" ")[0]
    # superscripts, letters of units and the like belong to no script
    return LATIN if first in _OF_NO_SCRIPT else _OTHERWISE_CALLED.get(first, first)
