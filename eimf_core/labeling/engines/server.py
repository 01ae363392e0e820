"""Engine `server`: any OpenAI-compatible endpoint (llama.cpp's server, vLLM, Ollama, hosted ones), or several of them.

Histories leave the machine only when that was allowed; user ids are never part of what is sent.
"""

from __future__ import annotations

import http.client
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import orjson

from eimf_core.errors import EimfError, ModelError
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines import server_address, server_pool, server_reply
from eimf_core.labeling.engines.base import OF_PROMPTS, Answer, Request
from eimf_core.labeling.engines.server_exchange import Refusal, exchange
from eimf_core.labeling.engines.server_pool import Endpoint, Pool
from eimf_core.labeling.engines.server_question import ChatEngine, RequestStyle
from eimf_core.labeling.engines.server_reply import excerpt, words_in
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors

WORTH_RETRYING = (408, 409, 425, 429, 500, 502, 503, 504)
KEY_REFUSED = (401, 403)
GIVEN_UP = (404, 405)
"""No request will fare better; redirects are given up as well."""
MODELS_SHOWN = 6
_NO_MODEL = re.compile(r"model\b.{0,200}?(not found|not exist|unknown|no such|not available)", re.IGNORECASE)
KEPT = "finished labels are kept"


class Server(ChatEngine):
    """Requests answered over HTTP; a thread for each that is open."""

    name: ClassVar[str] = "server"
    uses: ClassVar[frozenset[str] | None] = OF_PROMPTS | {
        "keep_going", "server", "allow_remote", "parallel", "timeout", "retries",
    }  # fmt: skip

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        super().__init__(config, samples, vectors, reporter)
        urls = server_address.checked(config.server, config.allow_remote)
        self._key = server_address.key()
        self.parallel = config.parallel * len(urls)
        if config.model is None:
            # a model without a name is told by where it is
            self.settings["server"] = " ".join(sorted(url + server_address.PATH for url in urls))
        self._pool = Pool(urls)
        self._reporter = reporter
        self._answers: queue.Queue[Answer | EimfError | str] = queue.Queue()
        self._closed = threading.Event()

    def submit(self, request: Request) -> None:
        if self._config.dry_run:
            return self._answers.put(self.preview(request))
        # daemon threads: an interruption waits for no server
        threading.Thread(target=self._work, args=(request,), daemon=True).start()

    def take(self) -> Answer:
        while isinstance(answer := self._answers.get(), str):
            self._reporter.warn(answer)
        if isinstance(answer, EimfError):
            self.close()
            raise answer
        return answer

    def close(self) -> None:
        self._closed.set()

    def _work(self, request: Request) -> None:
        began = time.perf_counter()
        try:
            answer = self._ask(request)
            self._answers.put(replace(answer, seconds=time.perf_counter() - began))
        except EimfError as error:
            self._answers.put(error)
        except Exception as error:  # whatever a server provokes must not leave take() waiting
            self._answers.put(Answer(request.number, error=f"{type(error).__name__}: {excerpt(error)}"))

    def _ask(self, request: Request) -> Answer:
        """Ask until there is an answer, or no server has given one in the allowed attempts."""
        dice = random.Random(request.seed * 1_000_003 + request.number)
        problem, reached, attempt, asked = "", False, 0, 0
        while attempt <= self._config.retries and not self._closed.is_set():
            endpoint = self._pool.take()
            asked += 1
            wait: float | None = None
            try:
                return self._answer_of(endpoint, request)
            except Refusal as refusal:
                reached = True
                wait = _retry_after(refusal)
                problem = _refusal_text(refusal)
                others = self._refused(endpoint, refusal, wait)
                if others is None:
                    return Answer(request.number, error=problem)
            except (OSError, http.client.HTTPException) as error:
                problem = _reason(error)
                others = self._left_out(endpoint, problem)
            finally:
                self._pool.give(endpoint)
            # an attempt asks each server once: all of them may come back only to fail again
            if others and asked < len(self._pool.endpoints):
                continue
            asked = 0
            if attempt < self._config.retries:
                doubled = min(server_pool.FIRST_PAUSE * 2**attempt, server_pool.LONGEST_PAUSE) * dice.uniform(0.5, 1.0)
                self._closed.wait(doubled if wait is None else min(wait, server_pool.LONGEST_PAUSE))
            attempt += 1
        if reached:  # and so others may fare better
            return Answer(request.number, error=problem)
        raise ModelError(
            f"{self._urls()}: no answer after {self._config.retries + 1} attempts ({problem}); {KEPT}: "
            "start the server and run the same command again"
        )

    def _answer_of(self, endpoint: Endpoint, request: Request) -> Answer:
        """The answer of one server, asked in other manners where it refuses the usual one; errors as of `exchange`."""
        style = endpoint.style
        while True:
            try:
                reply = server_reply.read(self._post(endpoint, request, style))
                other = style.after(422, reply.refused) if reply.refused else None
            except Refusal as refusal:
                other = style.after(refusal.status, refusal.said.decode("utf-8", "replace"))
                if other is None:
                    raise
            else:
                if reply.only_thought and style.thinking:
                    other = replace(style, thinking=False)
            if other is not None:
                style = other
                continue
            # kept only if it helps: a 400 may have other reasons
            if self._pool.answered(endpoint, style if reply.error is None else endpoint.style):
                self._answers.put(f"{endpoint.url}: is asked {style.described()} from here on")
            return Answer(request.number, text=reply.text, error=reply.error, tokens=reply.tokens)

    def _post(self, endpoint: Endpoint, request: Request, style: RequestStyle) -> bytes:
        body = self.body(request, style)
        return exchange(endpoint.url + server_address.PATH, body, key=self._key, seconds=self._config.timeout)

    def _refused(self, endpoint: Endpoint, refusal: Refusal, wait: float | None) -> bool | None:
        """What to do after a refusal: whether another server is there to ask; None where this question is answered so.

        Raises:
            ModelError: where no request will fare better.
        """
        if refusal.status in KEY_REFUSED:
            has = "is refused" if self._key else "is not set"
            raise ModelError(
                f"{endpoint.url}: {_refusal_text(refusal)}; the key in {server_address.API_KEY} {has}; {KEPT}"
            )
        hint = self._hint(endpoint, refusal)
        if hint is not None:
            problem = f"{_refusal_text(refusal)}{hint}"
            if self._pool.failed(endpoint, gone=True):
                if self._pool.first_told(endpoint):
                    self._answers.put(f"{endpoint.url}: {problem}; it is left out, the other servers continue")
                return True
            raise ModelError(f"{endpoint.url}: {problem}; {KEPT}")
        if refusal.status in WORTH_RETRYING:
            return self._pool.failed(endpoint, pause=wait)
        return None

    def _left_out(self, endpoint: Endpoint, problem: str) -> bool:
        """A server that gave no reply is left alone for a while; whether another one is there to ask."""
        others = self._pool.failed(endpoint)
        if others and self._pool.first_told(endpoint):
            self._answers.put(f"{endpoint.url}: {problem}; it is left out for a while, the other servers continue")
        return others

    def _hint(self, endpoint: Endpoint, refusal: Refusal) -> str | None:
        """What to do about a refusal that all requests will meet; None where others may fare better."""
        if 300 <= refusal.status < 400:
            target = excerpt(refusal.headers.get("Location") or "nowhere", 100).partition("?")[0]
            return f"; it redirects to {target}, which is not followed: give the address itself as --server"
        if _NO_MODEL.search(words_in(refusal.said)) and refusal.status in (400, *GIVEN_UP, 422):
            known = self._models(endpoint)
            has = f"the server has {', '.join(known)}" if known else "--model names it"
            return f"; --model is '{excerpt(self.model, 60)}', {has}"
        if refusal.status not in GIVEN_UP:
            return None
        return "" if endpoint.url.endswith("/v1") else f"; is /v1 missing at the end of --server {endpoint.url}?"

    def _models(self, endpoint: Endpoint) -> list[str]:
        """The names of a server's models, as far as it tells them."""
        try:
            raw = exchange(endpoint.url + "/models", None, key=self._key, seconds=min(self._config.timeout, 10))
            names = [excerpt(entry["id"], 80) for entry in orjson.loads(raw)["data"][: MODELS_SHOWN + 1]]
        except (Refusal, OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return []
        return names if len(names) <= MODELS_SHOWN else [*names[:MODELS_SHOWN], "…"]

    def _urls(self) -> str:
        return ", ".join(endpoint.url for endpoint in self._pool.endpoints)


def _refusal_text(refusal: Refusal) -> str:
    words = words_in(refusal.said) or excerpt(refusal.reason)
    return f"HTTP {refusal.status}: {words}" if words else f"HTTP {refusal.status}"


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return excerpt(getattr(reason, "strerror", None) or reason) or type(error).__name__


def _retry_after(refusal: Refusal) -> float | None:
    value = refusal.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


ENGINE = Server
