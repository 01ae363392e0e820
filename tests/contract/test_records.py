"""The contract of every record: what is written is read back, required fields are required, and no more."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from eimf_core import records
from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.records import (
    Anchor,
    HistoryItem,
    Item,
    Label,
    Metric,
    Query,
    RankedItem,
    Recommendation,
    Record,
    Sample,
    SemanticInterest,
    Sequence,
    UserInterest,
)

KINDS = [
    kind for _, kind in inspect.getmembers(records, inspect.isclass) if issubclass(kind, Record) and kind is not Record
]


def filled(kind: type[Record]) -> Record:
    """A record with every field filled, by its type."""
    return kind(**{field.name: value(msgspec.inspect.type_info(field.type)) for field in msgspec.structs.fields(kind)})


def value(described: Any) -> Any:
    """A value of a type that `msgspec.inspect` describes."""
    simple = {
        "StrType": 'Tee "für" zwei\n \U0001fad6', "IntType": 7, "FloatType": 0.125, "BoolType": True,
        "AnyType": {"sizes": [1, 2.5], "nothing": ""},
    }  # fmt: skip
    name = type(described).__name__
    if name in simple:
        return simple[name]
    if name == "LiteralType":
        return described.values[-1]
    if name == "UnionType":
        return value(next(one for one in described.types if type(one).__name__ != "NoneType"))
    if name == "ListType":
        return [value(described.item_type)] * 2
    if name == "DictType":
        return {"one": value(described.value_type), "two": value(described.value_type)}
    assert name == "StructType", name
    return filled(described.cls)


FULL = [filled(kind) for kind in KINDS]
# fields a user or another program relies on to be there, by kind; the rest may be absent
REQUIRED = {
    Item: {"item", "title"},
    Sequence: {"user", "split", "items"},
    HistoryItem: {"item", "title"},
    Sample: {"user", "history"},
    SemanticInterest: {"name"},
    Label: {"interests"},
    Metric: {"metric", "value", "users", "split", "protocol", "seen", "model"},
    Query: set(),
    RankedItem: {"rank", "item", "title", "score"},
    Anchor: {"item", "title", "weight"},
    UserInterest: {"index", "weight"},
    Recommendation: {"id", "items", "interests"},
}  # fmt: skip
ONE_OF: dict[type[Record], set[str]] = {Label: {"user", "key"}}
"""Fields of which one has to be there."""
each = pytest.mark.parametrize("record", FULL, ids=lambda record: type(record).__name__)


def written(record: Record) -> dict[str, Any]:
    line = jsonl.encode(record)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    fields: dict[str, Any] = orjson.loads(line)
    return fields


def read(fields: dict[str, Any], kind: type[Record]) -> Record:
    return jsonl.decode(orjson.dumps(fields), kind, file="lines.jsonl", number=4)


def test_no_record_of_the_design_is_gone() -> None:
    assert set(REQUIRED) <= set(KINDS)


@each
def test_every_field_survives_a_file(record: Record, tmp_path: Path) -> None:
    assert set(written(record)) == {field.name for field in msgspec.structs.fields(record)}, "a field is not filled"
    for name in ("records.jsonl", "records.jsonl.gz"):
        assert jsonl.write(tmp_path / name, [record, record]) == 2
        assert list(jsonl.read(tmp_path / name, type(record))) == [record, record]


@each
def test_required_fields_are_required_and_no_others(record: Record) -> None:
    kind, fields = type(record), written(record)
    required = REQUIRED.get(kind, {field.name for field in msgspec.structs.fields(kind) if field.required})
    least = {name: value for name, value in fields.items() if name in required | ONE_OF.get(kind, set())}
    made = read(least, kind)
    # what is absent because it is None is not written again, and what is written is read again
    assert read(written(made), kind) == made
    assert None not in written(made).values()
    for name in required:
        with pytest.raises(InputError) as caught:
            read({key: value for key, value in fields.items() if key != name}, kind)
        assert (caught.value.file, caught.value.line, caught.value.field) == ("lines.jsonl", 4, name)
        assert "missing" in str(caught.value)


@pytest.mark.parametrize("kind", ONE_OF)
def test_one_of_some_fields_has_to_be_there(kind: type[Record]) -> None:
    fields = written(filled(kind))
    for name in ONE_OF[kind]:
        assert read({key: value for key, value in fields.items() if key not in ONE_OF[kind] - {name}}, kind)
    with pytest.raises(InputError, match="needs 'user' or 'key'"):
        read({key: value for key, value in fields.items() if key not in ONE_OF[kind]}, kind)


def test_a_sample_without_a_key_has_its_user_for_one() -> None:
    line = {"user": "u1", "history": [{"item": "a", "title": "Tea"}]}
    made = read(line, Sample)
    assert isinstance(made, Sample) and (made.key, made.cluster, made.cluster_size) == ("u1", 0, 1)


@each
def test_unknown_fields_are_ignored_except_in_a_query(record: Record) -> None:
    more = {**written(record), "added_by_jq": {"a": [1]}}
    if isinstance(record, Query):
        with pytest.raises(InputError, match=r"lines\.jsonl:4: unknown field 'added_by_jq'; a Query has id, history, "):
            read(more, Query)
    else:
        assert read(more, type(record)) == record


@each
def test_a_value_of_another_type_is_named(record: Record) -> None:
    for name in written(record):
        with pytest.raises(InputError) as caught:
            read({**written(record), name: [[]]}, type(record))
        assert (caught.value.field or "").split("[")[0] == name


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(Sequence, "split", "dev"), (Label, "items_by", "hand"), (Metric, "seen", "hide"), (Query, "seen", "hide")],
)
def test_choices_are_checked(kind: type[Record], name: str, value: str) -> None:
    record = next(record for record in FULL if type(record) is kind)
    with pytest.raises(InputError, match=value):
        read({**written(record), name: value}, kind)


@each
def test_records_are_frozen(record: Record) -> None:
    name = msgspec.structs.fields(record)[0].name
    with pytest.raises(AttributeError):
        setattr(record, name, "other")
