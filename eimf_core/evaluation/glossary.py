"""What every metric is, by its name: the docstrings of the functions that compute them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from eimf_core.evaluation import config, interests, lists, metrics

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **metrics.ACCURACY,
    **lists.PER_USER,
    **lists.TOTALS,
    "interest_cosine": interests.mean_pairwise_cosine,
    **interests.SHARES,
}
SYMBOLS = """\
rel_i is 1 when rank i of the list holds a target and 0 otherwise, k is the length of the list, T the
number of distinct targets of a user. Accuracy is a mean over users, from 0 to 1, ranked over the whole catalogue."""
SURENESS = """\
ci_low and ci_high: percentile bootstrap 95 % interval over users (Efron and Tibshirani, 1993); of a
difference, over the same users for both. p: paired randomisation test, two-sided (Smucker et al.,
CIKM 2007). p_holm: corrected after Holm (1979) for all pairs of systems compared in a metric at a
cutoff, and in its slices for all pairs in all slices. spread: standard deviation over the seeds of a
group, whose interval is over users alone. Equal scores are ordered by one seeded order of the catalogue."""


def text() -> str:
    """All metrics in the order of `eval -m all`, those on request last, with formulas and sources; then intervals."""
    parts = [SYMBOLS]
    for name in config.METRICS:
        marks = [
            mark for names, mark in ((config.STANDARD, "default"), (config.ON_REQUEST, "only by name")) if name in names
        ]
        title = f"{name} ({marks[0]})" if marks else name
        described = inspect.getdoc(FUNCTIONS[name]) or ""
        parts.append("\n".join([title, *(f"  {line}" if line else "" for line in described.splitlines())]))
    return "\n\n".join([*parts, SURENESS])
