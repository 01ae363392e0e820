"""Titles cut to their informative words, for prompts: what a thing is, without sizes, counts, codes and asides.

Most of what a prompt costs is titles, and the names of shop goods run to twenty words of which five say what the
thing is. Short titles stay as they are, but for what stands in brackets.
"""

from __future__ import annotations

import re

FEW_WORDS = 6  # a title of no more says little that could be left out
MAX_WORDS, MAX_CHARACTERS = 7, 60
ENOUGH_WORDS = 3  # that say what it is, before a comma or the like ends it
MAKER_WORDS = 3  # at most, in front of what it is
_BRACKETED = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_BORDERS = frozenset({*"-–—|•~+*/:", "--"})
_ENDINGS = (",", ";", ".", ":")
_LEADING_ON = frozenset({"with", "w/", "in", "by", "from", "includes", "including"})
_DANGLING = frozenset({"a", "an", "and", "the", "of", "for", "to", "or", "&", "set", "pack", *_LEADING_ON})
_UNITS = frozenset(
    {"inch", "inches", "mm", "cm", "oz", "ounce", "ounces", "fl", "ml", "lb", "lbs", "kg", "ft", "feet",
     "piece", "pieces", "pcs", "qty", "count", "ct", "pack", "packs", "x"}
)  # fmt: skip
_SAID_BEFORE = frozenset({"the", "for", *_LEADING_ON}) - {"by"}  # within names of works, and behind what a thing is
_ARTICLE_BEHIND = re.compile(r"(.*), (The|A|An|Les?|La|Der|Die|Das|El|Il)", re.IGNORECASE)
_DIMENSIONS = re.compile(r"[1-9]-?d", re.IGNORECASE)  # 3D says something


def informative_words(title: str) -> str:
    """The words of a clean title that say what a thing is.

    Args:
        title: on one line.

    Returns:
        The title without bracketed parts, its article in front. Of one of more than `FEW_WORDS` words, the first ones
        without numbers, codes and a shouted brand, up to the first border behind `ENOUGH_WORDS` of them. Where these
        are too many, they end before "for", and up to `MAKER_WORDS` in front are left out. Never empty where the title
        is not.
    """
    bare = title
    if "(" in title or "[" in title:
        bare = " ".join(_BRACKETED.sub(" ", title).split()).strip(" ,;-–—|")
    if not _has_letters(bare):
        bare = title
    if behind := _ARTICLE_BEHIND.fullmatch(bare):
        bare = f"{behind[2]} {behind[1]}"
    words = bare.split()
    if len(words) > FEW_WORDS:
        bare = " ".join(_first_informative(_without_brand(words))) or bare
    return _cut(bare)


def _without_brand(words: list[str]) -> list[str]:
    """Without a first word in capitals, where not all words are shouted."""
    first, others = words[0], words[1:]
    shouted = len(first) > len("LED ") and first.isalpha() and first.isupper()
    return others if shouted and not all(word.isupper() for word in others) else words


def _first_informative(words: list[str]) -> list[str]:
    kept = _up_to_border(words)
    if not _fits(kept):
        ends = [at for at, word in enumerate(kept) if at >= ENOUGH_WORDS and word.casefold() == "for"]
        kept = _without_maker(kept[: ends[0]] if ends else kept)
    while kept and kept[-1].casefold() in _DANGLING:
        kept.pop()
    return kept


def _up_to_border(words: list[str]) -> list[str]:
    kept: list[str] = []
    for word in words:
        enough = len(kept) >= ENOUGH_WORDS
        if enough and (word in _BORDERS or word.casefold() in _LEADING_ON):
            break
        if any(map(str.isdigit, word)) and not _DIMENSIONS.fullmatch(word.strip(",.")):
            if enough and word.endswith(_ENDINGS):
                break
            continue
        plain = word.strip(",;.:").casefold()
        if plain in _UNITS or (len(plain) < 2 and word != "&"):
            continue
        kept.append(word.rstrip(",;.:"))
        if len(kept) >= ENOUGH_WORDS and word.endswith(_ENDINGS):
            break
    return kept


def _without_maker(kept: list[str]) -> list[str]:
    """As few words less in front as makes it fit, since the last ones say what it is; else the first ones."""
    if _SAID_BEFORE.isdisjoint(map(str.casefold, kept)):
        for start in range(min(MAKER_WORDS + 1, len(kept))):
            if kept[start].casefold() not in _DANGLING and _fits(kept[start:]):
                return kept[start:]
    return kept[:MAX_WORDS]


def _fits(kept: list[str]) -> bool:
    return len(kept) <= MAX_WORDS and len(" ".join(kept)) <= MAX_CHARACTERS


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))


def _cut(text: str) -> str:
    """At most `MAX_CHARACTERS`; whole words, where there are spaces."""
    if len(text) <= MAX_CHARACTERS:
        return text
    whole, space, _ = text[:MAX_CHARACTERS].rpartition(" ")
    return whole if space and len(whole) > MAX_CHARACTERS // 2 else text[:MAX_CHARACTERS]
