"""Factors of single items on their scores, such as for what a shop wants to sell."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eimf_core.errors import InputError
from eimf_core.io import files
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend.query import query_input
from eimf_core.recommend.query.item_lookup import Items
from eimf_core.recommend.query.query_resolution import first_names

AT_ONCE = 4096
HEADER = ("item", "factor")
LARGEST = 1e6
"""Of factors: far more than any order of a list needs, and far less than a score of 32 bits holds."""
EXPECTED = """expected an item and a factor, such as S1200,1.5 or {"item": "S1200", "factor": 1.5}"""


def read(path: str | Path, items: Items, *, strict: bool = False, reporter: Reporter = SILENT) -> Floats:
    """The factor of each item index, (N + 1,), 1 for items that the file does not name.

    Args:
        path: lines of `item,factor`, with a header or without, or JSON lines with these fields.
        items: the items of the model.
        strict: ids that the model does not know are an error.
        reporter: gets a remark on them otherwise.

    Returns:
        (N + 1,).

    Raises:
        ConfigError: for a path that cannot be opened.
        InputError: for a line that is no item with a factor of 0 or more, and for an item with two factors.
    """
    factors = np.ones(len(items) + 1, np.float32)
    unknown: list[str] = []
    named: dict[str, float] = {}
    for number, item, factor in _lines(path):
        if named.setdefault(item, factor) != factor:
            problem = f"'{item}' has the factor {named[item]:g} and here {factor:g}; keep one"
            raise InputError(problem, file=path, line=number, field="factor")
        if index := items.index(item):
            factors[index] = factor
        else:
            unknown.append(item)
    if unknown:
        problem = f"unknown items: {first_names(unknown)}"
        if strict:
            raise InputError(problem, file=path)
        reporter.note(f"{files.name_of(path)}: {problem}")
    return factors


def apply(factors: Floats, scores: Floats) -> None:
    """Raise or lower scores in place; -inf stays what it is.

    A factor f makes s + (f - 1) |s| of a score s: f s, and for a score below 0, which a product with a factor
    above 1 would lower, what is as far on the other side.

    Args:
        factors: by item index, (N + 1,).
        scores: (B, N + 1).
    """
    places = np.flatnonzero(factors != 1)
    part = scores[:, places]
    scores[:, places] = boosted(factors[places], part)


def boosted(factors: Floats, scores: Floats) -> Floats:
    """Scores raised or lowered by factors, as `apply` does.

    Args:
        factors: of a shape that broadcasts to that of the scores.
        scores: of any shape.

    Returns:
        Of the shape of the scores.
    """
    with np.errstate(invalid="ignore"):
        made: Floats = np.where(np.isfinite(scores), scores + (factors - 1) * np.abs(scores), scores)
    return made


def _lines(path: str | Path) -> Iterator[tuple[int, str, float]]:
    for lines in query_input.available_lines(path, AT_ONCE, what="item and factor"):
        for number, raw in lines:
            text = raw.strip()
            item, factor = _of_json(text) if text.startswith(b"{") else _of_text(text)
            if number == 1 and (item.strip().lower(), str(factor).strip().lower()) == HEADER:
                continue
            try:
                value = float(factor)
            except (TypeError, ValueError):
                value = math.nan
            if not item or isinstance(factor, bool):
                raise InputError(f"is no item with a factor, {EXPECTED}", file=path, line=number)
            if not 0 <= value <= LARGEST:
                raise InputError(f"is '{factor}', expected 0 to {LARGEST:,.0f}", file=path, line=number, field="factor")
            yield number, item, value


def _of_text(line: bytes) -> tuple[str, Any]:
    text = line.decode("utf-8", "surrogateescape")
    separator = "\t" if "\t" in text else ","
    try:
        *item, factor = next(csv.reader([text], delimiter=separator, skipinitialspace=True))
    except csv.Error:
        return "", None
    return separator.join(item).strip(), factor.strip()


def _of_json(line: bytes) -> tuple[str, Any]:
    try:
        row = orjson.loads(line)
        item = row["item"]
        return (str(item) if isinstance(item, str | int) else ""), row["factor"]
    except (orjson.JSONDecodeError, KeyError):
        return "", None
