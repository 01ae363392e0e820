"""What an engine is: it takes questions about samples and gives answers, in whatever order they are done.

The caller keeps an engine busy: it submits up to `parallel` questions, takes one answer, and submits
the next. An engine answers every question exactly once, with text or with an error; it never checks
an answer, asks again or writes a file, since `labeling` does that for all engines alike.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from eimf_core.records import Sample


@dataclass(frozen=True)
class Ask:
    """One question. `number` comes back with the answer; `sample.history` is what may be shown.

    `seed` is another one each time the same sample is asked about again.
    """

    number: int
    sample: Sample
    seed: int


@dataclass(frozen=True)
class Answer:
    """The answer to the Ask with this number, or the reason why there is none (`error`).

    `text` is a JSON object as the prompt's schema wants it; engines that use no prompt give the form
    of `general`: {"interests": [{"name": …, "description": …, "items": [1, 3]}]} with numbers from
    1 into the history that was shown, which is the sample's without its `trimmed` oldest items.
    `final` errors are not worth asking again. `crashes` counts how often the engine had to be started
    again over this question. `items_by` is set when neither the schema nor the
    engine's kind says who assigned the items.
    """

    number: int
    text: str = ""
    error: str | None = None
    final: bool = False
    trimmed: int = 0
    crashes: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    items_by: Literal["model", "similarity"] | None = None


class Engine(Protocol):
    """Anything that answers.

    `name` is the engine's, `model` and `model_sha256` say which model answers. `settings` is plain
    data, all that shapes an answer beside sample, prompt and model: it enters the hash of a request.
    `uses_prompt` is False for engines that neither read the prompt nor answer in its schema.
    `parallel` is how many questions it wants at a time.
    """

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def model_sha256(self) -> str | None: ...

    @property
    def settings(self) -> dict[str, Any]: ...

    @property
    def uses_prompt(self) -> bool: ...

    @property
    def parallel(self) -> int: ...

    def submit(self, ask: Ask) -> None:
        """Take a question; returns at once."""

    def take(self) -> Answer:
        """Wait for the next answer. Called only while a question is open.

        Raises ModelError or LabelError when no further question can be answered.
        """

    def close(self) -> None:
        """Give up what is open and free everything; may be called twice and at any time."""


class OneByOne:
    """Base of engines that compute an answer on the spot: subclasses write `answer`."""

    uses_prompt = False
    parallel = 1

    def __init__(self) -> None:
        self._open: deque[Ask] = deque()

    def answer(self, ask: Ask) -> Answer:
        """The answer to one question."""
        raise NotImplementedError

    def submit(self, ask: Ask) -> None:
        self._open.append(ask)

    def take(self) -> Answer:
        began = time.perf_counter()
        answer = self.answer(self._open.popleft())
        return replace(answer, seconds=time.perf_counter() - began)

    def close(self) -> None:
        self._open.clear()
