"""Item text cleaned, once, where it is read: `prepare` does it for raw logs, `dataset.read_items` for items.jsonl.

What comes behind these two takes titles as they are.
"""

from __future__ import annotations

import unicodedata

import msgspec

from eimf_core.records import Item

INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that nobody reads: controls, format characters, private use, surrogates, separators of lines."""
JOINERS = "\u200c\u200d"
"""Format characters that belong to words of Persian and Indian scripts and to emoji."""
SOFT_HYPHEN = "\u00ad"


def clean(text: str) -> str:
    """A text on one line: invisible characters become blanks, and blanks are folded and cut at both ends.

    Whatever a title holds, it can neither break a line nor steer a terminal nor pass for a mark of a prompt.
    Cleaning twice changes nothing.
    """
    if text.isprintable():
        # most texts are clean
        return text if "  " not in text and text.strip() == text else " ".join(text.split())
    return " ".join("".join(map(_visible, text)).split())


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, the last of them an ellipsis where something was cut."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def shortened_at_word(text: str, most: int) -> str:
    """At most so many characters, ending at a word with an ellipsis when something was cut."""
    if len(text) <= most:
        return text
    if most < 1:
        return ""
    cut = text[: most - 1]
    at_word = cut.rsplit(" ", 1)[0] if " " in cut else cut
    return at_word.rstrip(" ,;:.-") + "…"


def _visible(char: str) -> str:
    if char == SOFT_HYPHEN:
        return ""
    return " " if unicodedata.category(char) in INVISIBLE and char not in JOINERS else char


def clean_item(item: Item) -> Item:
    """The item with clean title, categories (each once, without blank ones) and text."""
    title = clean(item.title)
    categories = item.categories and list(dict.fromkeys(filter(None, map(clean, item.categories))))
    text = (clean(item.text) or None) if item.text else None
    if title == item.title and categories == item.categories and text == item.text:
        return item
    return msgspec.structs.replace(item, title=title, categories=categories, text=text)
