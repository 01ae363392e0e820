"""Item text as it is published: entities and tags taken out, lists flattened, categories split, length bounded."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<![^<>]*>")


def without_html(text: str) -> str:
    """`AT&amp;T <b>Phone</b>` becomes `AT&T Phone`; blanks stay where tags stood."""
    if "&" in text:
        # twice escaped text is common in scraped titles
        text = html.unescape(html.unescape(text))
    if "<" in text:
        text = _TAG.sub(" ", _UNSEEN.sub(" ", text))
    return text


def shortened(text: str, most: int) -> str:
    """At most so many characters, ending at a word with an ellipsis when something was cut."""
    if len(text) <= most:
        return text
    if most < 1:
        return ""
    cut = text[: most - 1]
    at_word = cut.rsplit(" ", 1)[0] if " " in cut else cut
    return at_word.rstrip(" ,;:.-") + "…"


def strings_in(value: Any) -> list[str]:
    """Strings in a value of any nesting, each once, in order."""
    found: dict[str, None] = {}

    def walk(inner: Any) -> None:
        if isinstance(inner, str):
            found.setdefault(inner)
        elif isinstance(inner, dict):
            walk(list(inner.values()))
        elif isinstance(inner, Iterable):
            for part in inner:
                walk(part)

    walk(value)
    return list(found)


def split_categories(text: str, separators: str = "|,;") -> list[str]:
    """Categories in one string: at the first of the separators that occurs."""
    separator = next((each for each in separators if each in text), None)
    return [part.strip() for part in text.split(separator)] if separator else [text] if text.strip() else []
