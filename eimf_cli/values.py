"""Values of the command line that need no library to be read: taken as they are, so that a command begins sooner.

typer reads each value with pydantic, whose import takes half as long as all other imports together, even where an
option is not given. What is read here is read as pydantic would read it; everything else is left to typer.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

WHOLE = re.compile(r"-?[0-9]{1,15}")
DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
LEFT: Any = object()
"""Instead of a value: typer is to read it."""


def hasten(command: Any) -> Any:
    """A command, or a group of them, whose parameters read plain values themselves."""
    listed = command.get_params

    def get_params(context: Any) -> list[Any]:
        # asked anew for each list: --help joins it late
        parameters: list[Any] = listed(context)
        for parameter in parameters:
            if "process_value" not in vars(parameter):
                _shorten(parameter)
        return parameters

    command.get_params = get_params
    return command


def _shorten(parameter: Any) -> None:
    described = getattr(parameter, "type_descriptor", None)
    process = parameter.process_value

    def process_value(context: Any, value: Any) -> Any:
        several = parameter.multiple or parameter.nargs == -1
        read = LEFT
        if value is None and not parameter.required:
            read = () if several else None
        elif described is not None and several == (get_origin(described.annotation) is list):
            read = plain(described.annotation, value)
        if read is LEFT:
            return process(context, value)
        return read if parameter.callback is None else parameter.callback(context, parameter, read)

    parameter.process_value = process_value


def plain(kind: Any, value: Any) -> Any:
    """A value of the type `kind`, LEFT where it takes more than a look."""
    if get_origin(kind) is list:
        if not isinstance(value, list | tuple):
            return LEFT
        entries = [plain(get_args(kind)[0], entry) for entry in value]
        return LEFT if any(entry is LEFT for entry in entries) else entries
    if get_origin(kind) is Literal:
        return value if value in get_args(kind) else LEFT
    if type(value) is kind and kind in (bool, int, float, str):
        return value
    return _read(kind, value) if isinstance(value, str) else LEFT


def _read(kind: Any, value: str) -> Any:
    if kind is int and WHOLE.fullmatch(value):
        return int(value)
    if kind is float and DECIMAL.fullmatch(value):
        return float(value)
    if kind is Path and "\0" not in value and (not os.path.exists(value) or os.access(value, os.R_OK)):
        return Path(value)
    return LEFT
