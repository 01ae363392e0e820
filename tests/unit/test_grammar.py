"""The grammar written from a schema: what it admits, and that nothing else can come out."""

from __future__ import annotations

import pytest

from eimf_core.errors import ConfigError
from eimf_core.labeling import grammar, prompts


def schema(entry: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {"interests": {"type": "array", "minItems": 1, "maxItems": 8, "items": entry}},
        "required": ["interests"],
        "additionalProperties": False,
    }


STRING: dict[str, object] = {"type": "string", "minLength": 2, "maxLength": 48}


def test_names_alone() -> None:
    rules = dict(line.split(" ::= ", 1) for line in grammar.of_schema(schema(STRING), 3, 4).splitlines())
    text = r'"\"" first char{1,47} "\""'
    assert rules["root"] == rf'"{{" "\"interests\": " "[" {text} (", " {text}){{0,3}} "]" "}}"'
    assert rules["number"] == '"1" | "2" | "3"'


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (STRING, '{"interests": ["'),
        ({"type": "string", "enum": ["a", "b"]}, '{"interests": ['),
        ({"type": "array", "minItems": 0, "maxItems": 2, "items": STRING}, '{"interests": [['),
        ({"type": "array", "minItems": 1, "maxItems": 2, "items": STRING}, '{"interests": [["'),
        ({"type": "history-item"}, '{"interests": ['),
    ],
)
def test_what_all_answers_begin_with(entry: dict[str, object], text: str) -> None:
    assert grammar.opening(grammar.bounded(schema(entry), 1, 4)) == text


def test_an_answer_with_items_begins_with_the_first_name() -> None:
    assert grammar.opening(prompts.load("general").schema) == '{"interests": [{"name": "'


@pytest.mark.parametrize("name", prompts.names())
def test_bounds_follow_the_history(name: str) -> None:
    whole = prompts.load(name).schema
    narrowed = grammar.bounded(whole, 1, 2)["properties"]["interests"]
    assert narrowed["maxItems"] == min(2, whole["properties"]["interests"]["maxItems"])
    if "properties" in narrowed["items"]:
        assert narrowed["items"]["properties"]["items"]["maxItems"] == 1


def test_the_schema_itself_stays_as_it_is() -> None:
    original = prompts.load("general").schema
    grammar.bounded(original, 1, 1)
    assert original == prompts.load("general").schema


def test_at_most_one_interest() -> None:
    root = grammar.of_schema(schema(STRING), 5, 1).rsplit("root ::= ", 1)[1]
    assert ", " not in root


def test_choices_become_literals() -> None:
    rules = grammar.of_schema(schema({"type": "string", "enum": ['a "b"', "c"]}), 2, 2)
    assert r'("\"a \\\"b\\\"\"" | "\"c\"")' in rules


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"type": "number"}, "type 'number'"),
        ({"type": "string", "minLength": 2}, "maxLength"),
        ({"type": "string", "minLength": 0, "maxLength": 5}, "minLength"),
        ({"type": "array", "minItems": 3, "maxItems": 2, "items": STRING}, "minItems"),
        ({"type": "object", "properties": {"a": STRING, "b": STRING}, "required": ["a"]}, "require all"),
        ({"type": "object", "properties": {"a": STRING}, "required": ["a"]}, "additionalProperties"),
    ],
)
def test_what_it_cannot_hold_is_refused(entry: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        grammar.of_schema(schema(entry), 3, 4)
