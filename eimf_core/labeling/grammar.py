"""The grammar that holds a model to a prompt's schema, written by ourselves in llama.cpp's GBNF.

Small and strict, since what a model may write must always be an answer that can be read: one fixed
layout (`{"interests": ["…", "…"]}`), characters without escapes and control codes, every count
bounded, item numbers enumerated. Source of the notation: llama.cpp's grammars/README.md.
"""

from __future__ import annotations

import functools
from typing import Any

import orjson

from eimf_core.errors import ConfigError

HISTORY_ITEM = "history-item"
# quote and backslash would need escapes; the rest are controls, line separators and what no text holds
_CHAR = r'[^"\\\x00-\x1F\x7F-\x9F\u2028\u2029\uD800-\uF8FF\uFFF0-\uFFFF]'
_FIRST = r'[^"\\\x00-\x20\x7F-\xA0\u2028\u2029\uD800-\uF8FF\uFFF0-\uFFFF.,:;/_*-]'


def of_schema(schema: dict[str, Any], count: int, max_interests: int) -> str:
    """The grammar of the answers that a schema allows.

    Args:
        schema: objects whose properties are all required and none else, arrays with both bounds, strings with both
            bounds or an enumeration, and {"type": "history-item"}: a number from 1 to `count`.
        count: titles of the history.
        max_interests: bounds the schema's own number.

    Returns:
        GBNF with the start rule `root`.

    Raises:
        ConfigError: for any other schema.
    """
    return _written(orjson.dumps(bounded(schema, count, max_interests)), count)


def bounded(schema: dict[str, Any], count: int, max_interests: int) -> dict[str, Any]:
    """The schema with its bounds narrowed to a history.

    Args:
        schema: of the prompt.
        count: titles that are shown: no interest has more items.
        max_interests: interests of an answer at most.

    Returns:
        A copy of the schema.
    """
    narrowed: dict[str, Any] = orjson.loads(orjson.dumps(schema))
    interests = narrowed["properties"]["interests"]
    interests["maxItems"] = max(1, min(interests.get("maxItems", max_interests), max_interests))
    interests["minItems"] = min(interests.get("minItems", 1), interests["maxItems"])
    items = interests["items"].get("properties", {}).get("items")
    if items is not None:
        items["maxItems"] = max(1, min(items.get("maxItems", count), count))
        items["minItems"] = min(items.get("minItems", 1), items["maxItems"])
    return narrowed


def opening(schema: dict[str, Any]) -> str:
    """The text that all answers in a bounded schema begin with, such as `{"interests": ["`."""
    kind = schema.get("type")
    if kind == "object" and schema.get("properties"):
        name, inner = next(iter(schema["properties"].items()))
        return "{" + _quoted(name) + ": " + opening(inner)
    if kind == "array":
        return "[" + opening(schema.get("items", {})) if schema.get("minItems") else "["
    return '"' if kind == "string" and "enum" not in schema else ""


@functools.lru_cache(maxsize=256)
def _written(schema: bytes, count: int) -> str:
    rules = {"char": _CHAR, "first": _FIRST}
    if count:
        rules["number"] = " | ".join(f'"{number}"' for number in range(1, count + 1))
    rules["root"] = _rule(orjson.loads(schema), "$")
    return "\n".join(f"{name} ::= {rule}" for name, rule in rules.items()) + "\n"


def _rule(schema: dict[str, Any], place: str) -> str:
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, place)
    if kind == "array":
        least, most = _bounds(schema, "Items", place)
        entry = _rule(schema.get("items", {}), f"{place}[]")
        rest = f'(", " {entry}){{{max(least - 1, 0)},{most - 1}}}' if most > 1 else ""
        filled = f"{entry} {rest}".strip()
        return f'"[" {filled} "]"' if least else f'"[" ({filled})? "]"'
    if kind == "string":
        return _string(schema, place)
    if kind == HISTORY_ITEM:
        return "number"
    raise ConfigError(f"schema: {place}: type '{kind}' is not one of object, array, string, {HISTORY_ITEM}")


def _object(schema: dict[str, Any], place: str) -> str:
    properties = schema.get("properties", {})
    if not properties or set(schema.get("required", ())) != set(properties) or schema.get("additionalProperties", True):
        raise ConfigError(
            f"schema: {place}: an object has to require all its properties, with additionalProperties false"
        )
    parts = [
        f"{_literal(_quoted(name) + ': ')} {_rule(inner, f'{place}.{name}')}" for name, inner in properties.items()
    ]
    return '"{" ' + ' ", " '.join(parts) + ' "}"'


def _string(schema: dict[str, Any], place: str) -> str:
    if "enum" in schema:
        return "(" + " | ".join(_literal(_quoted(value)) for value in schema["enum"]) + ")"
    least, most = _bounds(schema, "Length", place)
    if least < 1:
        raise ConfigError(f"schema: {place}: minLength has to be 1 or more")
    return f'"\\"" first char{{{least - 1},{most - 1}}} "\\""'


def _bounds(schema: dict[str, Any], what: str, place: str) -> tuple[int, int]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if not isinstance(least, int) or not isinstance(most, int) or not 0 <= least <= most or most < 1:
        raise ConfigError(f"schema: {place}: needs min{what} and max{what}, 0 <= min{what} <= max{what}")
    return least, most


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _literal(text: str) -> str:
    """Text as a GBNF literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
