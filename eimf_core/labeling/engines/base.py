"""What an engine is: it takes requests about samples and gives answers, in whatever order they are done.

The caller keeps an engine busy: it submits up to `parallel` requests, takes one answer, and submits
the next. An engine answers every request exactly once, with text or with an error; it never checks
an answer, asks again or writes a file, since `labeling.requests` does that for all engines alike.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import orjson

from eimf_core.errors import InputError
from eimf_core.labeling import prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.prompts import Prompt
from eimf_core.naming.terms import cut_at_word
from eimf_core.progress import Reporter
from eimf_core.records import BatchRequest, HistoryItem, Sample
from eimf_core.text.similarity import TitleVectors

LONGEST_NAME, LONGEST_DESCRIPTION, MAX_ITEMS = 48, 200, 12
"""Of an interest, as the form of the answer wants it."""
OF_PROMPTS = frozenset(
    {
        "model", "prompt", "language", "items", "encoder", "max_titles", "max_tokens",
        "attempts", "temperature", "retry_temperature",
    }
)  # fmt: skip
"""Settings that every engine uses that asks a language model."""
NamesInterests = Callable[[Sequence[HistoryItem]], Mapping[str, Sequence[int]]]
"""From the items of a history, oldest first, to the name of each interest with the numbers of its items, from 1."""


@dataclass(frozen=True)
class Request:
    """One question. `number` comes back with the answer; `sample.history` is what may be shown, with clean titles.

    `seed` is another one each time the same sample is asked about again; `hint` says then below the titles what was
    wrong with the answer before.
    """

    number: int
    sample: Sample
    seed: int
    hint: str = ""


@dataclass(frozen=True)
class Answer:
    """The answer to the request with this number, or the reason why there is none (`error`).

    `text` is a JSON object in the schema of the engine's prompt; its item numbers count from 1 into the history that
    was shown, which is the sample's without its `trimmed` oldest items.
    `final` errors are not worth asking again. `crashes` counts how often the engine had to be started
    again over this request. `items_by` is set when neither the schema nor the engine's kind says who
    assigned the items. `waiting` says that there is no answer yet: it comes in a later run.
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
    waiting: bool = False


class Engine:
    """Base of engines.

    Attributes of a class:
        name: of the engine, as on the command line.
        uses: the settings that shape what it does, beside those of every run (`unused_settings.OF_EVERY_RUN`): others
            are refused. None: not told, any may. A subclass does not inherit it.
        uses_prompt: whether it asks a language model with the prompt. Otherwise there is nothing to show in a dry run.
        reads_titles: whether it answers from the titles of a history, which `--items` adds categories to.
        needs_catalogue: whether it reads the catalogue of `--items` by itself, and cannot do without.
        answers_later: whether it writes requests whose answers a later run reads, with `--results`.
        ray_module: the module whose `ENGINE` spreads its requests over the workers of `--ray`; None where it has none.
            A subclass does not inherit it.

    Attributes that depend on the settings:
        prompt: answers follow its schema, also those of engines that show it to nobody.
        model, model_sha256: which model answers.
        model_source: where it was fetched from.
        whole_titles: whether the model was trained on bare titles as they are: others see short ones with categories.
        settings: plain data, all that shapes an answer beside sample, prompt and model; a part of the request's hash.
        parallel: how many requests it wants at a time.
    """

    name: ClassVar[str]
    uses: ClassVar[frozenset[str] | None] = None
    uses_prompt: ClassVar[bool] = True
    reads_titles: ClassVar[bool] = True
    needs_catalogue: ClassVar[bool] = False
    answers_later: ClassVar[bool] = False
    ray_module: ClassVar[str | None] = None
    prompt: Prompt
    model: str
    model_sha256: str | None = None
    model_source: dict[str, str | None] | None = None
    whole_titles: bool = False
    settings: dict[str, Any]
    parallel: int = 1

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        """Arguments and errors as of `engine_registry.open_engine`.

        With `config.dry_run` one that `uses_prompt` answers with the text of the prompt and its tokens.
        """

    def submit(self, request: Request) -> None:
        """Take a request; returns at once."""
        raise NotImplementedError

    def take(self) -> Answer:
        """Wait for the next answer. Called only while a request is open.

        Raises ModelError or LabelError when no further request can be answered.
        """
        raise NotImplementedError

    def expected_seconds(self, read: int, answers: int) -> float | None:
        """A rough guess of the time that it takes to read so many tokens and write so many answers, if there is one."""
        return None

    def expect(self, requests: Iterable[Request]) -> None:
        """The first questions about all samples of a run, also of those that have a label already."""

    def left(self) -> list[BatchRequest]:
        """What an engine that answers later was asked and has no answer to, first questions before further ones."""
        return []

    def problem(self) -> InputError | None:
        """What is wrong with the answers that were given to it, told after those that are right are kept."""
        return None

    def close(self) -> None:
        """Give up what is open and free everything; may be called twice and at any time."""


class SynchronousEngine(Engine):
    """Base of engines without a language model that compute an answer on the spot: subclasses write `answer`."""

    uses_prompt: ClassVar[bool] = False

    def __init__(self) -> None:
        self._open: deque[Request] = deque()

    def answer(self, request: Request) -> Answer:
        """The answer to one request."""
        raise NotImplementedError

    def submit(self, request: Request) -> None:
        self._open.append(request)

    def take(self) -> Answer:
        began = time.perf_counter()
        answer = self.answer(self._open.popleft())
        return replace(answer, seconds=time.perf_counter() - began)

    @staticmethod
    def answered(request: Request, interests: Sequence[Mapping[str, Any]], **more: Any) -> Answer:
        """The answer with these interests.

        Args:
            request: what it answers.
            interests: each in the form of the prompt.
            **more: further fields of the answer.

        Returns:
            An answer without an error.
        """
        return Answer(request.number, text=orjson.dumps({"interests": interests}).decode(), **more)


class FunctionEngine(SynchronousEngine):
    """Base of engines that are no more than a function; a plug-in may be one."""

    function: NamesInterests

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        super().__init__()
        self.prompt = prompts.load(prompts.GENERAL)
        self.settings = {"max_interests": config.max_interests}
        self._most = config.max_interests

    def answer(self, request: Request) -> Answer:
        found = list(self.function(request.sample.history).items())[: self._most]
        if not found:
            return Answer(request.number, error="no interest was found in the history", final=True)
        return self.answered(
            request, [{"name": cut_at_word(name, LONGEST_NAME), "items": items[-MAX_ITEMS:]} for name, items in found]
        )
