"""What a text encoder reads of an item."""

from __future__ import annotations

from eimf_core.records import Item

LONGEST_TEXT = 240  # characters of a description; the encoder reads about 64 tokens of the whole
MOST_CATEGORIES = 4


def item_text(item: Item) -> str:
    """What the encoder reads of an item: title, categories, and the start of its description.

    White space is folded; an item without any text gives "".
    """
    title = " ".join(item.title.split())
    known = title.casefold()
    categories = [" ".join(name.split()) for name in item.categories]
    new = [name for name in dict.fromkeys(categories) if name and name.casefold() != known]
    parts = [title, ", ".join(new[:MOST_CATEGORIES])]
    if item.text:
        parts.append(_shortened(" ".join(item.text[: 2 * LONGEST_TEXT].split())))
    return ". ".join(part for part in parts if part)


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return text[:LONGEST_TEXT].rsplit(" ", 1)[0]
