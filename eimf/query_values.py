"""Values of Python as the fields of a Query: checked here, since no JSON decoder has seen them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np
import orjson

from eimf.paths import is_frame
from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.records import Query
from eimf_core.text_cleaning import shortened_at_word

LONGEST_SHOWN = 60
"""Characters of a value that a message shows."""


def ids(values: Any, name: str) -> list[str]:
    """Ids as text: one, or what can be gone through, such as a list, an array or a column of a frame.

    Args:
        values: the ids; numbers are taken as text.
        name: of the argument, for errors.

    Raises:
        InputError: an entry is no id, or a frame is given in place of its column.
    """
    return [_id(value, f"{name}[{at}]") for at, value in enumerate(_listed(values, name))]


def one_id(value: Any, name: str) -> str:
    """One id, or a title, as text; raises as `ids`."""
    refuse_frame(value, name)
    made = _id(value, name)
    if not made.strip():
        raise InputError(f"is {made!r}, expected an id", field=name)
    return made


def texts(values: Any, name: str) -> list[str]:
    """Texts, such as titles: one, or what can be gone through; None is none. Raises InputError as `ids`."""
    given = [] if values is None else _listed(values, name)
    return [one_text(value, f"{name}[{at}]") for at, value in enumerate(given)]


def one_text(value: Any, name: str) -> str:
    """A text; InputError for what is none, such as the missing value of a column."""
    if not isinstance(value, str):
        raise InputError(f"is {_shown(value)}, expected text", field=name)
    return value


def _shown(value: Any) -> str:
    return shortened_at_word(" ".join(repr(value).split()), LONGEST_SHOWN)


def refuse_frame(value: Any, name: str) -> None:
    """InputError for a frame, which as what can be gone through would be the names of its columns."""
    if is_frame(value):
        raise InputError('is a frame, expected one of its columns, such as frame["item"]', field=name)


def _listed(values: Any, name: str) -> list[Any]:
    """What can be gone through as a list; anything else, and text, is one value."""
    refuse_frame(values, name)
    given = values.tolist() if hasattr(values, "tolist") else values
    return [given] if isinstance(given, str | bytes) or not isinstance(given, Iterable) else [*given]


def _id(value: Any, name: str) -> str:
    try:
        # the missing values of columns are not equal to themselves
        is_id = value is not None and not isinstance(value, bytes | Mapping | list | tuple) and bool(value == value)
    except (TypeError, ValueError):
        is_id = False
    if not is_id:
        raise InputError(f"is {_shown(value)}, expected an id", field=name)
    return str(value)


def _seconds(values: Any) -> Any:
    """Times as numbers of seconds, as `prepare` takes dates: those without a zone are of UTC."""
    if isinstance(values, np.ndarray | np.datetime64) and values.dtype.kind == "M":
        values = values.astype("datetime64[us]")
    listed = _as_list(values) if hasattr(values, "tolist") or hasattr(values, "to_list") else values
    return [*map(_second, listed)] if isinstance(listed, list | tuple) else listed


def _second(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if not isinstance(value, date):
        return value
    if value != value:
        return None
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


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


def queries_of(given: Any) -> Iterable[Any]:
    """Queries that can be gone through; ConfigError for a single one, and for a frame, whose rows they may be."""
    if is_frame(given):
        lazy = ".collect()" if hasattr(given, "collect") else ""
        rows = f"frame{lazy}.to_dicts()" if lazy or hasattr(given, "to_dicts") else 'frame.to_dict("records")'
        raise ConfigError(f"queries is a frame; give its rows, with a column for each field: {rows}")
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigError(f"queries is a {type(given).__name__}, expected dictionaries, such as a list of them")
    return given


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
    try:
        for name, value in fields.items():
            refuse_frame(value, name)
            if isinstance(value, float) and value != value:
                raise InputError("is nan, which is no value; leave the field out", field=name)
        if "times" in fields:
            fields = {**fields, "times": _seconds(fields["times"])}
        return jsonl.decode(_json(fields), Query, file=file, number=number)
    except InputError as error:
        raise InputError(error.problem, file=file, line=line, field=error.field) from None


def _json(fields: Mapping[str, Any]) -> bytes:
    """Fields as JSON; InputError for the first whose value is none of it."""
    try:
        return orjson.dumps(fields, default=_as_list, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        if len(fields) > 1:
            for name, value in fields.items():
                _json({name: value})
        raise InputError(f"cannot be read ({error})", field=", ".join(map(str, fields))) from None


def _as_list(value: Any) -> Any:
    """Columns of frames and arrays of other kinds as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_list"):
        return value.to_list()
    raise TypeError
