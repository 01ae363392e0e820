"""Answers of a model: read strictly, checked against schema and history, or refused with the reason.

The grammar already holds most models to the form, but not every engine has one, and no grammar knows
whether two interests are the same or one repeats the prompt's own words. Names are judged in `name_checks`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eimf_core.labeling import answer_text
from eimf_core.labeling.grammar import HISTORY_ITEM, bounded
from eimf_core.labeling.name_checks import BETWEEN_NAMES, Reason

ECHO_WORDS = 6  # so many words in a row out of the instructions are an echo
ECHO_SHARE = 0.6  # of the words of an example's description: an echo with a word changed
_FINAL = " .,;:，、。"  # punctuation behind a name
_PLACEHOLDERS = {
    "name", "names", "interest", "interests", "description", "items", "item", "title", "titles", "group", "category",
    "other", "others", "misc", "miscellaneous", "various", "none", "unknown",
}  # fmt: skip


class UnusableError(ValueError):
    """The answer cannot be used; the message says why, `reason` in a word."""

    def __init__(self, message: str, reason: Reason = "form") -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True)
class AnsweredInterest:
    """An interest as answered. `numbers` count the titles of the prompt from 1; empty when not asked for."""

    name: str
    description: str
    numbers: tuple[int, ...]


def read(
    text: str, schema: dict[str, Any], *, count: int, max_interests: int, instructions: str
) -> list[AnsweredInterest]:
    """The interests in an answer.

    Thoughts, prose and code fences around the object are passed over. White space is folded, punctuation behind names
    and repeated item numbers are dropped, and an interest whose name was there before gives its numbers to that one: a
    small model that repeats itself has answered all the same. Several names in one, with commas between them, are an
    interest each where interests have no item numbers, up to `max_interests`. Nothing else is repaired.

    Args:
        text: the answer.
        schema: of the prompt.
        count: how many titles the prompt showed.
        max_interests: more are refused.
        instructions: the prompt's own text, of which an answer must be no echo.

    Returns:
        The interests, at most `max_interests`.

    Raises:
        UnusableError: with the reason, in one line.
    """
    try:
        value = orjson.loads(answer_text.object_in(text, schema["properties"]))
    except orjson.JSONDecodeError as error:
        raise UnusableError(f"not JSON ({error})") from None
    narrowed = bounded(schema, count, max_interests)
    _check(_folded(value), narrowed, "answer", count)
    found = [_interest(entry) for entry in _folded(value)["interests"]]
    form = narrowed["properties"]["interests"]
    if "maxLength" in form["items"]:
        found = _taken_apart(found, form["maxItems"], form["items"]["maxLength"])
    _check_names([interest.name for interest in found])
    _check_echo(found, instructions)
    return _distinct(found)


def _folded(value: Any) -> Any:
    """The value with white space in strings folded, and without repeats in lists of numbers."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        inner = [_folded(entry) for entry in value]
        return list(dict.fromkeys(inner)) if inner and all(type(entry) is int for entry in inner) else inner
    if isinstance(value, dict):
        return {key: _folded(entry) for key, entry in value.items()}
    return value


def _distinct(found: Sequence[AnsweredInterest]) -> list[AnsweredInterest]:
    """Interests by name, in order of first mention; description and spelling are the first's."""
    kept: dict[str, AnsweredInterest] = {}
    for interest in found:
        first = kept.setdefault(interest.name.casefold(), interest)
        numbers = tuple(dict.fromkeys((*first.numbers, *interest.numbers)))
        kept[interest.name.casefold()] = AnsweredInterest(first.name, first.description, numbers)
    return list(kept.values())


def _interest(entry: Any) -> AnsweredInterest:
    if isinstance(entry, str):
        entry = {"name": entry}
    name = entry["name"].rstrip(_FINAL)
    return AnsweredInterest(name, entry.get("description", ""), tuple(entry.get("items", ())))


def _taken_apart(found: Sequence[AnsweredInterest], most: int, longest: int) -> list[AnsweredInterest]:
    """Names without numbers, each of several in one by itself as far as there is room; what was cut stays as it is."""
    room = most - len(found)
    apart: list[AnsweredInterest] = []
    for interest in found:
        names = [interest.name]
        if room and len(interest.name) < longest:
            parts = [part for part in BETWEEN_NAMES.split(interest.name, room) if _says_something(part)]
            # one that repeats itself is judged as it is
            names = parts if parts and len({part.casefold() for part in parts}) == len(parts) else names
        apart += [AnsweredInterest(name, "", ()) for name in names]
        room -= len(names) - 1
    return apart


def _says_something(name: str) -> bool:
    return any(map(str.isalpha, name)) and not is_placeholder(name)


def _check(value: Any, schema: dict[str, Any], place: str, count: int) -> None:
    kind = schema["type"]
    if kind == "object":
        if not isinstance(value, dict) or set(value) != set(schema["properties"]):
            raise UnusableError(f"{place} is not an object with {', '.join(schema['properties'])}")
        for name, inner in schema["properties"].items():
            _check(value[name], inner, f"{place}.{name}", count)
    elif kind == "array":
        if not isinstance(value, list) or not schema["minItems"] <= len(value) <= schema["maxItems"]:
            raise UnusableError(f"{place} is not a list of {schema['minItems']} to {schema['maxItems']}")
        for at, entry in enumerate(value, start=1):
            _check(entry, schema["items"], f"{place}[{at}]", count)
    elif kind == "string":
        _check_string(value, schema, place)
    elif kind == HISTORY_ITEM and (type(value) is not int or not 1 <= value <= count):
        raise UnusableError(f"{place} is {_shown(value)}, no number of a title (1 to {count})")


def _check_string(value: Any, schema: dict[str, Any], place: str) -> None:
    if not isinstance(value, str):
        raise UnusableError(f"{place} is {_shown(value)}, no text")
    if "enum" in schema:
        if value not in schema["enum"]:
            raise UnusableError(f"{place} is {_shown(value)}, none of the choices")
    elif not value and not schema["minLength"]:
        return
    elif not schema["minLength"] <= len(value) <= schema["maxLength"]:
        raise UnusableError(f"{place} has {len(value)} characters, not {schema['minLength']} to {schema['maxLength']}")
    elif not any(char.isalpha() for char in value):
        raise UnusableError(f"{place} has no letter")
    elif any(unicodedata.category(char) in ("Cc", "Co", "Cs") for char in value):
        raise UnusableError(f"{place} holds control characters")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:40]


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if is_placeholder(name):
            raise UnusableError(f"'{name}' is a placeholder, no interest")


def is_placeholder(name: str) -> bool:
    """Whether a name only says what should stand there, be it with a number."""
    return name.casefold().strip(" .:<>[]{}()0123456789") in _PLACEHOLDERS


def _check_echo(found: Sequence[AnsweredInterest], instructions: str) -> None:
    """No text of the instructions, and no description that is most of one of their example."""
    wording = f" {' '.join(_words(instructions))} "
    shown = [set(_words(interest.description)) for interest in examples(instructions) if interest.description]
    for interest in found:
        for text in (interest.name, interest.description):
            words = _words(text)
            runs = (words[at : at + ECHO_WORDS] for at in range(len(words) - ECHO_WORDS + 1))
            if any(f" {' '.join(run)} " in wording for run in runs):
                raise UnusableError("repeats the instructions", "example")
        said = set(_words(interest.description))
        if any(len(said & words) >= ECHO_SHARE * max(len(said), len(words)) for words in shown):
            raise UnusableError("repeats the example of the instructions", "example")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def examples(instructions: str) -> list[AnsweredInterest]:
    """The interests of each worked answer that the instructions show."""
    found = []
    decoder = json.JSONDecoder()
    for start in re.finditer(r'\{"interests"', instructions):
        try:
            value, _ = decoder.raw_decode(instructions, start.start())
        except json.JSONDecodeError:
            continue
        found += [interest for interest in map(_interest, value["interests"]) if interest.name != "..."]
    return found
