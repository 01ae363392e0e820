"""What the functions tell besides their results: warnings as Python has them, and errors by the names of arguments."""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from eimf_core.errors import EimfError
from eimf_core.progress import Reporter

_OPTION = re.compile(r"(eimf [a-z]+ )?--([a-z]+(?:-[a-z]+)*)(?![\w-])")
"""An option, and the command where it is that of one which is quoted."""
_CONFIG = re.compile(r" \(in --config\)| in --config\b")
_METHODS = {"all_users": "recommend_all"}
"""Options that are functions here."""


class EimfWarning(UserWarning):
    """Something to know about data or a model, where no `reporter` is given that hears of it."""


class PythonWarnings(Reporter):
    """Quiet, but for warnings, which go where Python shows warnings."""

    def warn(self, message: str) -> None:
        warnings.warn(named(message), EimfWarning, stacklevel=2)


@cache
def _keywords() -> frozenset[str]:
    """The names of all arguments and settings of the package: a message may be about those of another step."""
    from eimf import model, setting_types, steps

    functions: list[Callable[..., Any]] = [steps.prepare, steps.cluster, steps.label, steps.train, steps.evaluate]
    functions += [model.open_model, model.Model.recommend, model.Model.recommend_all]
    names = {name for function in functions for name in inspect.signature(function).parameters}
    settings = [kind for name, kind in vars(setting_types).items() if name.endswith("Settings")]
    return frozenset(names).union(*(kind.__annotations__ for kind in settings))


def named(message: str) -> str:
    """A message with the names of arguments in place of the options of the command."""
    return _OPTION.sub(_argument, _CONFIG.sub("", message))


def _argument(option: re.Match[str]) -> str:
    name = option[2].replace("-", "_")
    known = _METHODS.get(name, name if name in _keywords() else None)
    return option[0] if option[1] or known is None else known


@contextlib.contextmanager
def named_as_arguments() -> Iterator[None]:
    """Let an error name the arguments of functions in place of the options of the command."""
    try:
        yield
    except EimfError as error:
        error.args = tuple(named(str(each)) for each in error.args)
        error.advice = tuple(map(named, error.advice))
        raise


def reporter_or_quiet(reporter: Reporter | None) -> Reporter:
    """The reporter that was given; without one a quiet one that passes on warnings."""
    return PythonWarnings() if reporter is None else reporter
