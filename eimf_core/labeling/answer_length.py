"""How long an answer may get, from the schema's bounds."""

from __future__ import annotations

from typing import Any

LETTERS_A_TOKEN = 4  # for a guess of a prompt's tokens where nothing counts them


def longest_answer(schema: dict[str, Any], max_interests: int) -> int:
    """Tokens that an answer may need: half of its longest text, since a token holds several characters."""
    return max(64, _characters(schema["properties"]["interests"], max_interests) // 2)


def _characters(schema: dict[str, Any], most: int = 1 << 30) -> int:
    kind = schema.get("type")
    if kind == "array":
        return min(int(schema.get("maxItems", 8)), most) * (_characters(schema["items"]) + 2)
    if kind == "object":
        return sum(len(name) + 6 + _characters(inner) for name, inner in schema["properties"].items())
    return int(schema.get("maxLength", 40)) + 2 if kind == "string" else 2
