"""Why a list is empty: the filter that left nothing, of those that hold for the command and those of the query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from eimf_core.recommend.query_resolution import Asked

Mask = npt.NDArray[np.bool_]


def why_empty(items: int, filters: Mapping[str, Mask], query: Asked | None, least: float | None) -> str:
    """A sentence for a list without any of the `items`; `filters` (N + 1,) hold for all, `least` is --min-score."""
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
    return "no item" if least is None else _sentence(f"--min-score {least:g}", int(left.sum()), applied)


def _sentence(name: str, before: int, applied: list[str]) -> str:
    earlier = f" that {' and '.join(applied)} left" if applied else ""
    return f"{name} leaves none of the {before:,} items{earlier}"


def _all(filters: Mapping[str, Mask], query: Asked | None, items: int) -> Iterator[tuple[str, Mask]]:
    yield from filters.items()
    if query is None:
        return
    if query.only is not None:
        mask = np.zeros(items + 1, dtype=np.bool_)
        mask[query.only] = True
        yield "only", mask
    for name, gone in (("exclude", query.excluded), ("seen", () if query.keep_seen else query.history)):
        if len(gone):
            mask = np.ones(items + 1, dtype=np.bool_)
            mask[gone] = False
            yield name, mask
