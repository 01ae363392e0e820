"""What may be listed at all: items of a file, items without those of a file, items of a category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.errors import ConfigError, InputError
from eimf_core.progress import Reporter
from eimf_core.recommend import stream
from eimf_core.recommend.catalogue import Items

Mask = npt.NDArray[np.bool_]
AT_ONCE = 4096
SHOWN = 8


def allowed(
    items: Items,
    *,
    only_items: str | Path | None,
    exclude_items: str | Path | None,
    only: Sequence[str],
    reporter: Reporter,
) -> Mask | None:
    """What may be listed (N + 1,), None for everything.

    Files hold one id a line, or JSON lines with the field `item`. `only` holds "category=NAME"; several
    are alternatives. Raises ConfigError and InputError.
    """
    if only_items is None and exclude_items is None and not only:
        return None
    mask = np.ones(len(items) + 1, dtype=np.bool_)
    if only_items is not None:
        mask &= _listed(items, only_items, reporter)
        if not mask.any():
            raise InputError("holds no item that the model knows", file=only_items)
    if exclude_items is not None:
        mask &= ~_listed(items, exclude_items, reporter)
    if only:
        mask &= _of_category(items, [_category(condition) for condition in only])
    mask[0] = False
    return mask


def _listed(items: Items, path: str | Path, reporter: Reporter) -> Mask:
    mask = np.zeros(len(items) + 1, dtype=np.bool_)
    unknown = 0
    for item in ids(path):
        index = items.index(item)
        mask[index] = True
        unknown += index == 0
    mask[0] = False
    if unknown:
        reporter.note(f"{path}: {unknown:,} items are unknown to the model")
    return mask


def ids(path: str | Path) -> Iterable[str]:
    """Item ids of a file, one a line, or the `item` of JSON lines."""
    for lines in stream.ready(path, AT_ONCE, what="item id"):
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
