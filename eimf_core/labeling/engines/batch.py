"""Engine `batch`: questions in files, in the batch form of OpenAI, and their answers in the files of a later run.

The first run writes the requests, whoever runs batches runs them, and the same command reads the results. What is
refused is written as further requests. The form is that of hosted batch services and of vLLM's `run-batch`.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import orjson

from eimf_core.errors import ConfigError, InputError
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines import batch_results
from eimf_core.labeling.engines.base import OF_PROMPTS, Answer, Request
from eimf_core.labeling.engines.server_question import FORMS, ChatEngine, RequestStyle
from eimf_core.labeling.engines.server_reply import excerpt
from eimf_core.progress import Reporter
from eimf_core.records import BatchRequest, Sample
from eimf_core.text.similarity import TitleVectors

URL = "/v1/chat/completions"
ID_LENGTH = 32
"""Characters of a hash in a custom_id; services allow 64 in all."""


class BatchEngine(ChatEngine):
    """Answers out of files of results; `left` are the requests that have none."""

    name: ClassVar[str] = "batch"
    uses: ClassVar[frozenset[str] | None] = OF_PROMPTS | {"results"}
    answers_later: ClassVar[bool] = True

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        if config.model is None:
            raise ConfigError("--engine batch needs --model NAME, as the service or vLLM calls the model")
        super().__init__(config, samples, vectors, reporter)
        self._results = batch_results.read(config.results)
        self._style = self._accepted_style()
        if self._style != RequestStyle():
            reporter.warn(f"further requests ask {self._style.described()}, since the results say so")
        self._open: deque[Request] = deque()
        self._left: list[tuple[int, BatchRequest]] = []

    def submit(self, request: Request) -> None:
        self._open.append(request)

    def take(self) -> Answer:
        began = time.perf_counter()
        request = self._open.popleft()
        answer = self.preview(request) if self._config.dry_run else self._answer(request)
        return replace(answer, seconds=time.perf_counter() - began)

    def expect(self, requests: Iterable[Request]) -> None:
        known = {self.custom_id(request).partition("-")[0] for request in requests}
        for name, result in self._results.found.items():
            if name.partition("-")[0] not in known:
                self._results.add_problem(
                    InputError(
                        f"'{excerpt(name, 80)}' belongs to no request of this run; are these the results of other "
                        "samples, or of another model, prompt or seed?",
                        file=result.file, line=result.line, field="custom_id",
                    )
                )  # fmt: skip

    def problem(self) -> InputError | None:
        return self._results.problem()

    def left(self) -> list[BatchRequest]:
        # first questions come before further ones
        return [request for _, request in sorted(self._left, key=lambda each: each[0])]

    def custom_id(self, request: Request) -> str:
        """The name of a request: the hash of what is asked about at first, and the number of the attempt."""
        first = self.body(Request(number=0, sample=request.sample, seed=self._config.seed), RequestStyle())
        content = [request.sample.key, first, self._config.retry_temperature]
        digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return f"{digest[:ID_LENGTH]}-{self._attempt(request)}"

    def _attempt(self, request: Request) -> int:
        return request.seed - self._config.seed + 1

    def _answer(self, request: Request) -> Answer:
        name = self.custom_id(request)
        result = self._results.found.get(name)
        if result is None:
            body = self.body(request, self._style)
            self._left.append((self._attempt(request), BatchRequest(custom_id=name, url=URL, body=body)))
            return Answer(request.number, waiting=True)
        reply = result.reply
        return Answer(request.number, text=reply.text, error=reply.error, tokens=reply.tokens)

    def _accepted_style(self) -> RequestStyle:
        """How the service wants to be asked, by what it refused; each round of requests had one form."""
        style, rounds = RequestStyle(), set()
        for name, result in self._results.found.items():
            if result.reply.only_thought:
                style = replace(style, thinking=False)
            # what names no part of the request is not about how it was asked
            other = style.after(422, result.refused[1]) if result.refused else None
            if other is None:
                continue
            if other.form == style.form:
                style = other
            else:
                rounds.add(name.rpartition("-")[2])
        return replace(style, form=FORMS[min(len(rounds), len(FORMS) - 1)])


ENGINE = BatchEngine
