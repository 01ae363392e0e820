"""Item text as people wrote it, made plain: entities and tags gone, blanks folded, length bounded."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<![^<>]*>")
_BLANKS = re.compile(r"\s+")


def clean(text: str) -> str:
    """One line without HTML: `AT&amp;T <b>Phone</b>` becomes `AT&T Phone`."""
    if "&" in text:
        # twice escaped text is common in scraped titles
        text = html.unescape(html.unescape(text))
    if "<" in text:
        text = _TAG.sub(" ", _UNSEEN.sub(" ", text))
    return _BLANKS.sub(" ", text).strip()


def shortened(text: str, budget: int) -> str:
    """At most `budget` characters, ending at a word with an ellipsis when something was cut."""
    if len(text) <= budget:
        return text
    if budget < 1:
        return ""
    cut = text[: budget - 1]
    at_word = cut.rsplit(" ", 1)[0] if " " in cut else cut
    return at_word.rstrip(" ,;:.-") + "…"


def flat(value: Any) -> list[str]:
    """Strings in a value of any nesting, cleaned, without empty ones and repeats, in order."""
    found: dict[str, None] = {}

    def walk(inner: Any) -> None:
        if isinstance(inner, str):
            plain = clean(inner)
            if plain:
                found.setdefault(plain)
        elif isinstance(inner, dict):
            walk(list(inner.values()))
        elif isinstance(inner, Iterable):
            for part in inner:
                walk(part)

    walk(value)
    return list(found)


def split_categories(text: str, separators: str = "|,;") -> list[str]:
    """Categories in one string: at the first of the separators that occurs."""
    for separator in separators:
        if separator in text:
            return flat(text.split(separator))
    return flat(text)
