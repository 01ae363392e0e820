"""What every metric is, by its name: the docstrings of the functions that compute them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from eimf_core import plugins
from eimf_core.errors import ConfigError
from eimf_core.evaluation import metrics

SYMBOLS = """\
rel_i is 1 when rank i of the list holds a target and 0 otherwise, k is the length of the list, T the
number of distinct targets of a user. Accuracy is a mean over users, from 0 to 1, ranked over the whole catalogue."""
UNCERTAINTY = """\
ci_low and ci_high: percentile bootstrap 95 % interval over users (Efron and Tibshirani, 1993);
difference_ci_low and difference_ci_high: that of a difference, over the same users for both. Of coverage and gini: 1.96
standard errors of the jackknife over users, since users drawn with replacement would cover less (the same
book, ch. 11).

p: paired randomisation test, two-sided (Smucker et al., CIKM 2007), for figures that are means over
users. p_holm: corrected after Holm (1979) for all pairs of systems compared in a metric at a cutoff,
and in its slices for all pairs in all slices. spread: standard deviation over the seeds of a group,
whose interval is over users alone.

detectable: the least difference that so many users show, 2.80 * s / sqrt(users), where s is the
standard deviation over users of the paired differences: a true difference of this size is significant
at .05, before Holm, in 80 % of such samples (Bloom, Evaluation Review 19(5), 1995).

ties: equal scores go by item index ("index"), as in recommend, if the check allows it: if Spearman's
correlation of index and number of targets, and the targets among the first k items, are within 2
standard deviations of chance. Else the order of the catalogue favours what is asked for, and equal
scores follow one order of the catalogue drawn with --seed ("seeded"). A model of constant scores then
scores like chance.

left_out: no_targets, no_history (nothing to ask or to answer from), history_unknown (no item of it known
to one of the models), targets_seen (all targets in the history, with --seen drop); others were left out by
prepare, such as users who did nothing in the period of a split."""


def text() -> str:
    """All metrics in the order of `eval -m all`, those on request last, with formulas and sources; then intervals."""
    parts = [SYMBOLS]
    ordered = sorted(metrics.METRICS, key=lambda name: name in metrics.ON_REQUEST)
    for name in ordered:
        sets = ((metrics.STANDARD, "default"), (metrics.ON_REQUEST, "only by name"))
        marks = [mark for names, mark in sets if name in names]
        title = f"{name} ({marks[0]})" if marks else name
        parts.append(_entry(title, metrics.METRICS[name]))
    return "\n\n".join([*parts, *_of_plugins(), UNCERTAINTY])


def _of_plugins() -> list[str]:
    """The metrics of plug-ins, each loaded for what it says of itself; what cannot be is a line."""
    parts = []
    for plugin in plugins.installed("metrics"):
        try:
            parts.append(_entry(f"{plugin.name} (only by name; of {plugin.origin})", metrics.of_plugin(plugin)))
        except ConfigError as error:
            parts.append(f"warning: {error}")
    return parts


def _entry(title: str, function: Callable[..., Any]) -> str:
    """A metric under its title, as its docstring has it."""
    described = inspect.getdoc(function) or ""
    return "\n".join([title, *(f"  {line}" if line else "" for line in described.splitlines())])
