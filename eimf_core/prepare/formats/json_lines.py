"""JSON lines: logs and item files whose keys are recognised by name or named, and ready Item lines."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.prepare import log_files
from eimf_core.prepare.columns import COLUMN_OPTIONS, item_columns, log_columns
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, bad_row, keys_of, object_of
from eimf_core.prepare.formats.item_values import item_of
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.row_checks import HALF_CHARACTER
from eimf_core.prepare.scans import JsonLines, json_of
from eimf_core.records import Item

FLAT = (
    "write one interaction a line, such as with jq, or with explode and to_json(orient='records', lines=True) of pandas"
)


def _item_keys(source: Source, config: PrepareConfig) -> tuple[str, ...]:
    return keys_of(source)


def _scan(source: Source, config: PrepareConfig) -> JsonLines:
    try:
        fields = log_columns(keys_of(source), config, source.name)
    except InputError as error:
        nested = next((key for key, value in object_of(source.first).items() if isinstance(value, list | dict)), None)
        if nested is None or error.problem.startswith("has no"):
            raise
        problem = f"{error.problem}; '{nested}' holds a list or an object: {FLAT}"
        raise InputError(problem, file=source.name, line=error.line) from None
    for name in ("user", "item"):
        if any(isinstance(object_of(line).get(fields[name]), list | dict) for line in source.head):
            problem = f"holds lists or objects; {FLAT}"
            raise InputError(problem, file=source.name, field=fields[name])
    return JsonLines(fields, source.before)


def _is_item_line(source: Source) -> bool:
    """Whether the first line is an Item; one with keys of others is read by their names, which loses nothing."""
    line = object_of(source.first)
    try:
        msgspec.convert(line, type=Item)
    except msgspec.ValidationError:
        return False
    return "attributes" in line or line.keys() <= {field.name for field in msgspec.structs.fields(Item)}


def _read_item_lines(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, line in log_files.lines(source.path):
        try:
            yield jsonl.decode(line.encode(), Item, file=source.name, number=number)
        except InputError as error:
            yield BadRow(error, line)


def _read_objects(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    fields = item_columns(keys_of(source), config, source.name)
    for number, line in log_files.lines(source.path):
        try:
            row = json_of(line)
        except ValueError as error:
            yield bad_row(source, number, jsonl.not_json(error), line)
            continue
        if not isinstance(row, dict):
            yield bad_row(source, number, "is not a JSON object", line)
            continue
        values = {field: row.get(key) for field, key in fields.items()}
        if log_files.is_utf8(json.dumps(values, ensure_ascii=False)):
            yield item_of(values)
        else:
            yield bad_row(source, number, HALF_CHARACTER, line)


LOGS = (
    LogFormat(
        "jsonl",
        "JSON lines; the keys are recognised by name or named with --user-column and so on",
        lambda source: bool(object_of(source.first)),
        _scan,
        options=COLUMN_OPTIONS,
        json=True,
        table=True,
    ),
)
ITEMS = (
    ItemFormat("Item lines", _is_item_line, _read_item_lines),
    ItemFormat("JSON lines of items", lambda source: bool(object_of(source.first)), _read_objects, _item_keys),
)
