"""Items from the values of a table, of a JSON object, or of a published mapping; text is not cleaned here."""

from __future__ import annotations

from typing import Any

from eimf_core.prepare.raw_text import categories_in, strings_in
from eimf_core.prepare.scans import text_of
from eimf_core.records import Item


def item_of(values: dict[str, Any]) -> Item:
    """An item from values by field; titles, categories and text may be lists, of any nesting."""
    return Item(
        item=text_of(values["item"]),
        title=_joined(values.get("title")),
        categories=categories_in(values.get("category") or []),
        text=_joined(values.get("text")),
    )


def _joined(value: Any) -> str:
    return " ".join(strings_in(value)) if isinstance(value, list | dict) else text_of(value)
