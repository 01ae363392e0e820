"""Item text as it is published: entities and tags taken out, lists flattened, categories split."""

from __future__ import annotations

import ast
import contextlib
import csv
import html
import re
from collections.abc import Iterable
from typing import Any

import orjson

SEPARATORS = ("|", ";", "\n", " > ", ",")
"""What parts categories in one string; a comma may stand in the name of a category of a shop's path."""
NAME_KEYS = ("name", "title", "label", "category", "genre", "description")
"""Keys of an object of which the first that is there names a category."""
_LIST = re.compile(r"""\[.*\]|\{.*\}|\(['"].*\)""", re.DOTALL)
_CALL = re.compile(r"(?:array|list|set|frozenset|tuple)\((\[.*\]|\{.*\})(?:, dtype=\w+)?\)", re.DOTALL)
"""A list as Python shows one that is no literal."""
_UNSEEN = re.compile(r"<(script|style)\b|<!--", re.IGNORECASE)
_UNSEEN_ENDS = {
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
    "": re.compile("-->"),
}
"""Where scripts, styles and comments end."""
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<![^<>]*>")


def without_html(text: str) -> str:
    """`AT&amp;T <b>Phone</b>` becomes `AT&T Phone`; blanks stay where tags stood."""
    if "&" in text:
        # Python reads no number of thousands of digits, and no character has one
        with contextlib.suppress(ValueError):
            # twice escaped text is common in scraped titles
            text = html.unescape(html.unescape(text))
    if "<" in text:
        text = _TAG.sub(" ", _without_unseen(text))
    return text


def _without_unseen(text: str) -> str:
    """A text with a blank for each script, style and comment."""
    kept: list[str] = []
    at = 0
    endless = set()
    # an end is sought once for each start that has one: a single regular expression takes quadratic time where none has
    while found := _UNSEEN.search(text, at):
        kind = (found[1] or "").lower()
        end = None if kind in endless else _UNSEEN_ENDS[kind].search(text, found.end())
        if end is None:
            endless.add(kind)
        kept += [text[at : found.end()]] if end is None else [text[at : found.start()], " "]
        at = (end or found).end()
    return "".join([*kept, text[at:]])


def one_line(text: str) -> str:
    """A text with a blank for each run of tabs and blanks, as messages show it."""
    return " ".join(text.split())


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


def split_categories(text: str) -> list[str]:
    """Categories in one string: a list as JSON, Python or SQL write it, else at the first separator that occurs."""
    text = _CALL.sub(r"\1", text.strip())
    if _LIST.fullmatch(text):
        return categories_in(_listed(text))
    if text.startswith('"') and text.endswith('"'):
        return next(csv.reader([text], skipinitialspace=True), [])
    separator = next((each for each in SEPARATORS if each in text), None)
    return [part.strip() for part in text.split(separator)] if separator else [text] if text else []


def categories_in(value: Any) -> list[str]:
    """Categories in a value of any nesting, each once, in order; of an object its name, or the words it counts."""
    found: dict[str, None] = {}

    def walk(inner: Any) -> None:
        if isinstance(inner, str | int | float) and not isinstance(inner, bool):
            found.setdefault(str(inner))
        elif isinstance(inner, dict):
            named = next((inner[key] for key in NAME_KEYS if isinstance(inner.get(key), str)), None)
            counts = all(isinstance(count, int | float) for count in inner.values())
            words = [value for value in inner.values() if not isinstance(value, int | float)]
            walk(named if named is not None else list(inner) if counts else words)
        elif isinstance(inner, set | frozenset):
            walk(sorted(inner, key=str))
        elif isinstance(inner, Iterable):
            parts = list(inner)
            # a number beside a name is that of the category
            named = any(isinstance(part, str) for part in parts)
            for part in parts:
                if not named or not isinstance(part, int | float):
                    walk(part)

    walk(split_categories(value) if isinstance(value, str) else value)
    return list(found)


def _listed(text: str) -> Any:
    """What a list that is written as text holds: JSON, a Python literal, or words between brackets."""
    with contextlib.suppress(orjson.JSONDecodeError):
        return orjson.loads(text)
    # numpy writes no commas; Python would make one string of two
    literal = re.sub(r"""(['"])\s+(?=['"])""", r"\1, ", text)
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(literal)
    words = next(csv.reader([text[1:-1]], skipinitialspace=True), [])
    return [word.strip().strip("'\"") for word in words]
