"""What may be listed at all: items of a file, items without those of a file or of the command, items of a category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.errors import ConfigError, InputError
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import query_stream
from eimf_core.recommend.item_lookup import Items
from eimf_core.recommend.query_resolution import named

Mask = npt.NDArray[np.bool_]
AT_ONCE = 4096
SHOWN = 8


def allowed(
    items: Items,
    *,
    only_items: str | Path | None = None,
    exclude_items: str | Path | None = None,
    exclude: Sequence[str] = (),
    only: Sequence[str] = (),
    strict: bool = False,
    reporter: Reporter = SILENT,
) -> dict[str, Mask]:
    """What each filter lets through (N + 1,), by the option that asks for it.

    Files hold one id a line, or JSON lines with the field `item`; one of items to leave out may be empty.
    `only` holds "category=NAME"; several are alternatives. Raises ConfigError and InputError, with `strict`
    for ids that the model does not know too.
    """
    found: dict[str, Mask] = {}
    if only_items is not None:
        found["--only-items"] = _listed(items, only_items, strict, reporter)
        if not found["--only-items"].any():
            raise InputError("holds no item that the model knows", file=only_items)
    if exclude_items is not None:
        found["--exclude-items"] = ~_listed(items, exclude_items, strict, reporter, may_be_empty=True)
    if exclude:
        found["--exclude"] = ~_told(items, exclude, strict, reporter)
    if only:
        found["--only"] = _of_category(items, [_category(condition) for condition in only])
    for mask in found.values():
        mask[0] = False
    return found


def _listed(items: Items, path: str | Path, strict: bool, reporter: Reporter, *, may_be_empty: bool = False) -> Mask:
    mask = np.zeros(len(items) + 1, dtype=np.bool_)
    unknown: list[str] = []
    for item in ids(path, may_be_empty=may_be_empty):
        index = items.index(item)
        mask[index] = True
        if not index:
            unknown.append(item)
    mask[0] = False
    if unknown:
        problem = f"{len(unknown):,} items are unknown to the model: {named(unknown)}"
        if strict:
            raise InputError(problem, file=path)
        reporter.note(f"{path}: {problem}")
    return mask


def _told(items: Items, listed: Sequence[str], strict: bool, reporter: Reporter) -> Mask:
    """The items of ids on the command line."""
    mask = np.zeros(len(items) + 1, dtype=np.bool_)
    mask[items.indices(listed)] = True
    unknown = [item for item in listed if not items.index(item)]
    if unknown and strict:
        raise InputError(f"unknown: {named(unknown)}")
    if unknown:
        reporter.warn(f"unknown items: {named(unknown)}")
    return mask


def ids(path: str | Path, *, may_be_empty: bool = False) -> Iterable[str]:
    """Item ids of a file, one a line, or the `item` of JSON lines."""
    for lines in query_stream.ready(path, AT_ONCE, what="item id", may_be_empty=may_be_empty):
        for number, line in lines:
            text = line.strip()
            if not text.startswith(b"{"):
                yield text.decode("utf-8", "surrogateescape")
                continue
            try:
                item = orjson.loads(text)["item"]
            except (orjson.JSONDecodeError, KeyError):
                item = None
            if not isinstance(item, str):
                raise InputError("is no JSON object with an item id", file=path, line=number, field="item")
            yield item


def _category(condition: str) -> str:
    field, equals, value = condition.partition("=")
    if field.strip() != "category" or not equals or not value.strip():
        raise ConfigError(f"--only {condition}: expected category=NAME")
    return value.strip().casefold()


def _of_category(items: Items, wanted: Sequence[str]) -> Mask:
    mask = np.zeros(len(items) + 1, dtype=np.bool_)
    known: Counter[str] = Counter()
    for index, item in enumerate(items.all(), start=1):
        known.update(item.categories)
        mask[index] = any(name.casefold() in wanted for name in item.categories)
    for name in wanted:
        if not any(category.casefold() == name for category in known):
            there = ", ".join(category for category, _ in known.most_common(SHOWN)) or "none at all"
            raise ConfigError(f"--only category={name}: no item is of it; there are {there}")
    return mask
