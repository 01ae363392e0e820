"""The errors that `eimf` raises on purpose.

Core code raises these and never prints or exits; the command line turns each into one line on
stderr and an exit code. A message says what is wrong and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable


class EimfError(Exception):
    """Base of all errors that carry a message meant for the user; `advice` are further lines, of ways out."""

    advice: tuple[str, ...] = ()


class InputError(EimfError):
    """Data that cannot be used: which file, which line, which field, and what to do.

    `file` is the path as the user gave it ("-" for stdin), `line` counts from 1.
    """

    def __init__(self, problem: str, *, file: object = None, line: int | None = None, field: str | None = None) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field
        super().__init__(self._message())

    def _message(self) -> str:
        place = ""
        if self.file is not None:
            place = "<stdin>" if self.file == "-" else self.file
            if self.line is not None:
                place += f":{self.line}"
            place += ": "
        field = f"field '{self.field}': " if self.field else ""
        return f"{place}{field}{self.problem}"


class ConfigError(EimfError):
    """A wrong option, argument, path or configuration: the command has to be changed."""

    def __init__(self, message: str, *advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class ModelError(EimfError):
    """A model directory, GGUF file or text encoder that is broken or of the wrong kind."""


class LabelError(EimfError):
    """Labelling failed as a whole: the engine is gone, or too many answers were unusable."""


class WorkersError(EimfError):
    """Work on several machines failed as a whole: the cluster cannot be reached, or its workers are gone."""


class Terminated(BaseException):
    """SIGTERM arrived; raised so that files are left whole on the way out."""


def counted(number: int, what: str) -> str:
    """A number and what it counts: "1 epoch", "1,200 epochs"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


LIKE = 0.7
"""Least likeness, of 1, of a word that is suggested: "ray" is none for "replay"."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean X?", or nothing."""
    import difflib

    # the dashes of options would make all of them alike
    words = {each.lstrip("-"): each for each in known}
    sought = word.lower().lstrip("-")
    begun = sorted((each for each in words if each.startswith(sought)), key=len) if sought else []
    near = begun or difflib.get_close_matches(sought, words, n=1, cutoff=LIKE)
    return f"; did you mean {words[near[0]]}?" if near else ""
