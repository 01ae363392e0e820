"""The metrics, by name. A new one is a function with formula and source, and a line in the table of its kind:

- `accuracy.ACCURACY`: of a ranked list and the targets, per user (k, slices of targets)
- `list_metrics.PER_USER`: of a ranked list alone, per user (k)
- `interest_metrics.OF_INTERESTS`: of a user's interests, per user (no k)
- `aggregate_metrics.AGGREGATES`: of all lists together (k), with the influence that the jackknife needs
- `interest_metrics.SHARES`: what each interest brought to all lists (k)

`--metrics all`, the checks of `--metrics`, `--help-metrics` (`glossary`) and the tests read them from there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from eimf_core import plugins
from eimf_core.evaluation.metrics import accuracy, aggregate_metrics, interest_metrics, list_metrics

METRICS: dict[str, Callable[..., Any]] = {
    **accuracy.ACCURACY,
    **{name: metric.value for name, metric in aggregate_metrics.AGGREGATES.items()},
    **list_metrics.PER_USER,
    **interest_metrics.OF_INTERESTS,
    **interest_metrics.SHARES,
}
STANDARD = ("recall", "hit_rate", "ndcg", "mrr")
"""What is measured by default."""
ON_REQUEST = ("ndcg_hits", "diversity_text")
"""What is measured only by name: not standard, or slow."""
SETS = {"standard": STANDARD, "all": tuple(name for name in METRICS if name not in ON_REQUEST)}
NAMES = (*SETS, *METRICS)
TABLES: dict[tuple[str, ...], dict[str, Any]] = {
    ("hits", "wanted", "k"): accuracy.ACCURACY,
    ("lists", "facts", "k"): list_metrics.PER_USER,
}
"""The kinds of metric that a plug-in may add, by the arguments of its function."""


def add_plugin(name: str) -> bool:
    """Put the metric of a plug-in into the table of its kind, which its arguments tell; whether there is one.

    Raises:
        ConfigError: for a plug-in that cannot be used.
    """
    plugin = plugins.find("metrics", name)
    if plugin is None:
        return False
    function = of_plugin(plugin)
    METRICS[name] = TABLES[tuple(inspect.signature(function).parameters)][name] = function
    return True


def of_plugin(plugin: plugins.Plugin) -> Callable[..., Any]:
    """The function of a plug-in; raises as `add_plugin`."""
    function: Callable[..., Any] = plugin.load(_problem)
    return function


def _problem(found: Any) -> str:
    if not callable(found) or tuple(inspect.signature(found).parameters) not in TABLES:
        return f"it is no function of {' or of '.join(', '.join(names) for names in TABLES)}"
    return "" if inspect.getdoc(found) else "its docstring, which --help-metrics shows, is missing"
