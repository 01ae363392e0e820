"""How metrics are written, the same in tables, closing lines, plots and files: names, numbers, intervals, p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eimf_core.records import Metric

ACRONYMS = ("ndcg", "mrr", "map")
"""Parts of names of metrics that are written in capitals."""


@dataclass(frozen=True)
class TextTable:
    """Cells as they are shown, row by row."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def panels(needs: Sequence[float], width: float) -> list[list[int]]:
    """Which columns of a table stand side by side, where it is wider than the page.

    Args:
        needs: what each column takes, in any unit.
        width: of the page, in the same unit.

    Returns:
        The places of the columns of each part, the first column in front of each; a column that is too wide for a part
        of its own has one all the same.
    """
    parts, used = [[0]], needs[0]
    for at in range(1, len(needs)):
        if len(parts[-1]) > 1 and used + needs[at] > width:
            parts.append([0])
            used = needs[0]
        parts[-1].append(at)
        used += needs[at]
    return parts


def metric_name(metric: str, k: int | None) -> str:
    """A metric as people write it: "NDCG@10", "hit rate@10", and without a cutoff the name alone."""
    words = [word.upper() if word in ACRONYMS else word for word in metric.split("_")]
    return " ".join(words) + ("" if k is None else f"@{k}")


def number_text(value: float) -> str:
    """A figure with four digits behind the point; from 100 on a whole number, with commas."""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"


def interval_text(value: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    """A figure and its interval.

    Args:
        value, low, high: the figure and its bounds.
        signed: whether a figure above 0 has a plus, as a difference wants.

    Returns:
        Such as "0.4683 [0.4422, 0.4948]"; nothing where a bound is not known.
    """
    if value is None or low is None or high is None:
        return ""
    sign = "+" if signed and value > 0 else ""
    return f"{sign}{number_text(value)} [{number_text(low)}, {number_text(high)}]"


def metric_text(record: Metric) -> str:
    """A figure with its interval, and with its spread over seeds."""
    if record.ci_low is None or record.ci_high is None:
        return number_text(record.value)
    digits = None if abs(record.value) < 100 else f"{record.spread or 0:,.0f}"
    spread = "" if record.spread is None else f" ± {digits or number_text(record.spread)}"
    return f"{interval_text(record.value, record.ci_low, record.ci_high)}{spread}"


def difference_text(record: Metric) -> str:
    """The difference of a comparison with its interval."""
    return interval_text(record.difference, record.difference_ci_low, record.difference_ci_high, signed=True)


def p_value(p: float | None) -> str:
    """A p-value as people write it."""
    if p is None:
        return ""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0") if p < 0.9995 else "1"
