"""What a text encoder reads of an item and of an interest."""

from __future__ import annotations

from eimf_core.records import Item, SemanticInterest

LONGEST_TEXT = 240  # characters of a description; the encoder reads about 64 tokens of the whole
MAX_CATEGORIES = 4


def item_text(item: Item) -> str:
    """What the encoder reads of an item: title, categories, and the start of its description.

    An item without any text gives "".
    """
    known = item.title.casefold()
    new = [name for name in item.categories if name.casefold() != known]
    parts = [item.title, ", ".join(new[:MAX_CATEGORIES]), _shortened(item.text or "")]
    return ". ".join(part for part in parts if part)


def interest_text(interest: SemanticInterest) -> str:
    """Name and description of an interest; "" where it says nothing."""
    return ": ".join(part for part in (interest.name.strip(), interest.description.strip()) if part)


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return text[:LONGEST_TEXT].rsplit(" ", 1)[0]
