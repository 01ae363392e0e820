"""Values of Python as the fields of a Query: checked here, since no JSON decoder has seen them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import orjson

from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.records import Query


def ids(values: Any, name: str) -> list[str]:
    """Ids as text: one, or what can be gone through, such as a list, an array or a column of a frame.

    Args:
        values: the ids; numbers are taken as text.
        name: of the argument, for errors.

    Raises:
        InputError: an entry is no id.
    """
    given = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        given = [given]
    made = []
    for at, value in enumerate(given):
        if not _is_id(value):
            raise InputError(f"is {value!r}, expected an id", field=f"{name}[{at}]")
        made.append(str(value))
    return made


def as_list(value: Any) -> list[Any]:
    """One value, or several, as a list; None is none. Text is one value."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | set | frozenset) or hasattr(value, "tolist") else [value]


def _is_id(value: Any) -> bool:
    try:
        # the missing values of columns are not equal to themselves
        return value is not None and not isinstance(value, bytes | Mapping | list | tuple) and bool(value == value)
    except (TypeError, ValueError):
        return False


def with_fields(query: Query, given: Mapping[str, Any]) -> Query:
    """A query with further fields.

    Args:
        query: is not changed.
        given: values of Python by the names of fields of Query; None leaves a field as it is.

    Raises:
        InputError: a value is none of its field.
    """
    changed = {name: value for name, value in given.items() if value is not None}
    if not changed:
        return query
    read = _read(changed, None, 1)
    return msgspec.structs.replace(query, **{name: getattr(read, name) for name in changed})


def read_query(given: Any, number: int) -> Query:
    """A Query of a dictionary.

    Args:
        given: the dictionary, or what was given in its place.
        number: its place among all that were given, from 1, for errors.

    Raises:
        InputError: it is no dictionary, or a field or its value is none of a Query.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"is a {type(given).__name__}, expected a dictionary", file="queries", line=number)
    return _read(dict(given), "queries", number)


def _read(fields: dict[str, Any], file: str | None, number: int) -> Query:
    line = None if file is None else number
    for name, value in fields.items():
        if isinstance(value, float) and value != value:
            raise InputError("is nan, expected a number", file=file, line=line, field=name)
    try:
        text = orjson.dumps(fields, default=_as_list, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise InputError(f"cannot be read ({error})", file=file, line=line) from None
    try:
        return jsonl.decode(text, Query, file=file, number=number)
    except InputError as error:
        raise InputError(error.problem, file=file, line=line, field=error.field) from None


def _as_list(value: Any) -> Any:
    """Columns of frames and arrays of other kinds as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_list"):
        return value.to_list()
    raise TypeError
