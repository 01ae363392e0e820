"""What the functions tell besides their results: warnings as Python has them, and errors by the names of arguments."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields

from eimf_core.errors import EimfError
from eimf_core.progress import Reporter

Named = Callable[[str], str]
_OPTION = re.compile(r"--([a-z][a-z-]*[a-z])\b")


class EimfWarning(UserWarning):
    """Something to know about data or a model, where no `reporter` is given that hears of it."""


class PythonWarnings(Reporter):
    """Quiet, but for warnings, which go where Python shows warnings, in the words that `named` makes of them."""

    def __init__(self, named: Named) -> None:
        self._named = named

    def warn(self, message: str) -> None:
        warnings.warn(self._named(message), EimfWarning, stacklevel=2)


@contextlib.contextmanager
def named_as_arguments(settings: type, *others: str) -> Iterator[Named]:
    """Let an error name the arguments of a function in place of the options of the command.

    Args:
        settings: the dataclass of the settings that the function takes.
        others: its further arguments.

    Yields:
        What makes the same change in any other message.
    """
    known: set[str] = {field.name for field in fields(settings)} | set(others)

    def argument(option: re.Match[str]) -> str:
        name = option[1].replace("-", "_")
        return name if name in known else option[0]

    def named(message: str) -> str:
        return _OPTION.sub(argument, message)

    try:
        yield named
    except EimfError as error:
        error.args = tuple(named(str(each)) for each in error.args)
        error.advice = tuple(map(named, error.advice))
        raise


def reporter_or_quiet(reporter: Reporter | None, named: Named) -> Reporter:
    """The reporter that was given; without one a quiet one that passes on warnings, `named` as the errors are."""
    return PythonWarnings(named) if reporter is None else reporter
