"""What may be listed: the filters of the command and those of a query, and which of them left nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.errors import ConfigError, InputError
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend.query import query_input
from eimf_core.recommend.query.item_lookup import Items
from eimf_core.recommend.query.query_resolution import ResolvedQuery, first_names

Mask = npt.NDArray[np.bool_]
AT_ONCE = 4096
SHOWN = 8


def command_filters(
    items: Items,
    *,
    only_items: str | Path | None = None,
    exclude_items: str | Path | None = None,
    exclude: Sequence[str] = (),
    only: Sequence[str] = (),
    strict: bool = False,
    reporter: Reporter = SILENT,
) -> dict[str, Mask]:
    """The filters that hold for all queries.

    Args:
        items: the items of the model.
        only_items, exclude_items: files with one id a line, or JSON lines with the field `item`; the second may
            be empty.
        exclude: ids to leave out.
        only: "category=NAME"; several are alternatives.
        strict: ids that the model does not know are an error.
        reporter: gets a remark on them otherwise.

    Returns:
        What each filter lets through, (N + 1,), by the option that asks for it.

    Raises:
        ConfigError: a condition that is none, or that no item fulfils.
        InputError: a file that is none of ids.
    """
    found: dict[str, Mask] = {}
    if only_items is not None:
        found["--only-items"] = _of_ids(items, ids(only_items), strict, only_items, reporter.note)
        if not found["--only-items"].any():
            raise InputError("holds no item that the model knows, so that nothing could be listed", file=only_items)
    if exclude_items is not None:
        listed = ids(exclude_items, may_be_empty=True)
        found["--exclude-items"] = ~_of_ids(items, listed, strict, exclude_items, reporter.note)
    if exclude:
        found["--exclude"] = ~_of_ids(items, exclude, strict, "--exclude", reporter.warn)
    if only:
        found["--only"] = _of_category(items, [_category(condition) for condition in only])
    for mask in found.values():
        mask[0] = False
    return found


def _of_ids(
    items: Items, listed: Iterable[str], strict: bool, source: str | Path, remark: Callable[[str], None]
) -> Mask:
    """The items of ids that stand in `source`, a file or an option."""
    mask = np.zeros(len(items) + 1, dtype=np.bool_)
    unknown: list[str] = []
    for item in listed:
        index = items.index(item)
        mask[index] = True
        if not index:
            unknown.append(item)
    mask[0] = False
    if unknown:
        problem = f"unknown items: {first_names(unknown)}"
        if strict:
            raise InputError(problem, file=source)
        remark(f"{source}: {problem}")
    return mask


def ids(path: str | Path, *, may_be_empty: bool = False) -> Iterable[str]:
    """Item ids of a file, one a line, or the `item` of JSON lines."""
    for lines in query_input.available_lines(path, AT_ONCE, what="item id", may_be_empty=may_be_empty):
        for number, line in lines:
            text = line.strip()
            if not text.startswith(b"{"):
                yield text.decode("utf-8", "surrogateescape")
                continue
            try:
                item = orjson.loads(text)["item"]
            except (orjson.JSONDecodeError, KeyError):
                item = None
            if isinstance(item, int) and not isinstance(item, bool):
                item = str(item)
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


def mask_scores(scores: Floats, queries: Sequence[ResolvedQuery], allowed: Mask | None) -> None:
    """Set what may not be listed to -inf, in place: seen or excluded items and those outside `only`.

    Args:
        scores: (B, N + 1), or more columns.
        queries: one for each row.
        allowed: what the filters of the command let through, (N + 1,).
    """
    if allowed is not None:
        scores[:, : len(allowed)][:, ~allowed] = -np.inf
    for row, query in zip(scores, queries, strict=True):
        row[query.seen] = -np.inf
        if len(query.excluded):
            row[query.excluded] = -np.inf
        if query.only is not None:
            kept = row[query.only]
            row[:] = -np.inf
            row[query.only] = kept
            row[0] = -np.inf


def why_empty(items: int, filters: Mapping[str, Mask], query: ResolvedQuery, min_score: float | None) -> str:
    """Why a list holds no item: which filter left nothing, and which came before it.

    Args:
        items: how many there are.
        filters: of the command, by name which items they let through, (N + 1,).
        query: with its own filters.
        min_score: of the settings.

    Returns:
        A sentence.
    """
    left = np.ones(items + 1, dtype=np.bool_)
    left[0] = False
    applied: list[str] = []
    for name, mask in _all(filters, query, items):
        before = int(left.sum())
        left &= mask
        if not left.any():
            return _sentence(name, before, applied)
        if int(left.sum()) < before:
            applied.append(name)
    return "no item" if min_score is None else _sentence(f"--min-score {min_score:g}", int(left.sum()), applied)


def _sentence(name: str, before: int, applied: list[str]) -> str:
    earlier = f" that {' and '.join(applied)} left" if applied else ""
    return f"{name} leaves none of the {before:,} items{earlier}"


def _all(filters: Mapping[str, Mask], query: ResolvedQuery, items: int) -> Iterator[tuple[str, Mask]]:
    yield from filters.items()
    if query.only is not None:
        mask = np.zeros(items + 1, dtype=np.bool_)
        mask[query.only] = True
        yield "only", mask
    for name, gone in (("exclude", query.excluded), ("seen", query.seen)):
        if len(gone):
            mask = np.ones(items + 1, dtype=np.bool_)
            mask[gone] = False
            yield name, mask
