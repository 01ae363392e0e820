"""Engine `server`: any OpenAI-compatible endpoint (llama.cpp's server, vLLM, Ollama, …), several requests at a time.

Histories leave the machine only when that was allowed; user ids are never part of what is sent.
Redirects are not followed, and a server on this machine is never reached through a proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import queue
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import orjson

from eimf_core.errors import ConfigError, EimfError, ModelError
from eimf_core.labeling import prompts
from eimf_core.labeling.answer_length import LETTERS_A_TOKEN, longest_answer
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Engine, Request
from eimf_core.labeling.engines.deadline import Deadline
from eimf_core.labeling.grammar import HISTORY_ITEM, bounded
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors

API_KEY = "EIMF_API_KEY"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries, doubled each time
WORTH_RETRYING = (408, 409, 425, 429, 500, 502, 503, 504)
MOST_TOKENS = 1 << 31
LONGEST_REPLY = 16 << 20  # bytes; an answer has a few thousand
LONGEST_SHOWN = 300  # characters of what a server says about an error
GIVEN_UP = (401, 403, 404, 405)  # no request will fare better
# ways to ask for the schema, tried in turn: OpenAI's, that of llama-cpp-python's server, none at all
FORMS = ("json_schema", "json_object", "")
_ABOUT_FORM = re.compile(r"response_format|json_schema|json_object")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Server(Engine):
    """Requests answered over HTTP; a thread for each that is open."""

    name: ClassVar[str] = "server"

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        self._url = _checked_url(config.server, config.allow_remote) + "/chat/completions"
        self.prompt = prompts.load(config.prompt or prompts.GENERAL)
        self.model = config.model or "default"
        self.parallel = config.parallel
        self._config = config
        self._max_tokens = config.max_tokens or longest_answer(self.prompt.schema, config.max_interests)
        self.settings = {
            "temperature": config.temperature,
            "retry_temperature": config.retry_temperature,
            "max_tokens": self._max_tokens,
            "server": self._url,
        }
        loopback = _is_loopback(urllib.parse.urlsplit(self._url).hostname or "")
        self._handlers: list[Any] = [_NoRedirect(), *([urllib.request.ProxyHandler({})] if loopback else [])]
        self._form = 0  # of FORMS, the first that the endpoint has not refused
        self._answers: queue.Queue[Answer | EimfError] = queue.Queue()
        self._closed = threading.Event()

    def submit(self, request: Request) -> None:
        if self._config.dry_run:
            return self._answers.put(self._preview(request))
        # daemon threads: an interruption waits for no server
        threading.Thread(target=self._work, args=(request,), daemon=True).start()

    def take(self) -> Answer:
        answer = self._answers.get()
        if isinstance(answer, EimfError):
            self.close()
            raise answer
        return answer

    def close(self) -> None:
        self._closed.set()

    def _preview(self, request: Request) -> Answer:
        text = "\n\n".join(message["content"] for message in self._messages(request))
        return Answer(request.number, text=text, tokens={"prompt": len(text) // LETTERS_A_TOKEN})

    def _work(self, request: Request) -> None:
        try:
            self._answers.put(self._ask(request))
        except EimfError as error:
            self._answers.put(error)
        except Exception as error:  # whatever a server provokes must not leave take() waiting
            self._answers.put(Answer(request.number, error=f"{type(error).__name__}: {error}"))

    def _ask(self, request: Request) -> Answer:
        began = time.perf_counter()
        pause = random.Random(request.seed * 1_000_003 + request.number)
        problem, reached = "", False
        attempt, form = 0, self._form
        while attempt <= self._config.retries:
            if self._closed.is_set():
                break
            try:
                reply = self._post(self._body(request, FORMS[form]))
                self._form = max(self._form, form)
                return _answer_in(reply, request.number, time.perf_counter() - began)
            except urllib.error.HTTPError as error:
                message, reached = error.msg, True
                problem = f"HTTP {error.code} {message[:LONGEST_SHOWN]}"
                if FORMS[form] and _is_about_form(error.code, message):
                    # kept only if it helps: a 400 may have other reasons; without a form the check has to do
                    form += 1
                    continue
                if error.code in GIVEN_UP or 300 <= error.code < 400:
                    raise ModelError(f"{self._url}: {problem}") from None
                if error.code not in WORTH_RETRYING:
                    return Answer(request.number, error=problem, seconds=time.perf_counter() - began)
                wait = _retry_after(error)
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                problem, wait = " ".join(str(reason).split()) or type(error).__name__, None
            if attempt < self._config.retries:
                doubled = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * pause.uniform(0.5, 1.0)
                self._closed.wait(min(wait, LONGEST_PAUSE) if wait is not None else doubled)
            attempt += 1
        if reached:  # and so others may fare better
            return Answer(request.number, error=problem, seconds=time.perf_counter() - began)
        raise ModelError(
            f"{self._url}: no answer after {self._config.retries + 1} attempts ({problem}); finished labels are kept: "
            "start the server and run the same command again"
        )

    def _body(self, request: Request, form: str) -> bytes:
        count = len(request.sample.history)
        first = request.seed == self._config.seed
        body: dict[str, Any] = {
            "messages": self._messages(request),
            "model": self.model,
            "seed": request.seed,
            "temperature": self._config.temperature if first else self._config.retry_temperature,
            "max_tokens": self._max_tokens,
        }
        if form:
            schema = json_schema(bounded(self.prompt.schema, count, self._config.max_interests), count)
            named = {"name": "interests", "schema": schema, "strict": True}
            wanted = {"json_schema": named} if form == "json_schema" else {"schema": schema}
            body["response_format"] = {"type": form, **wanted}
        return orjson.dumps(body)

    def _messages(self, request: Request) -> list[dict[str, str]]:
        titles = [entry.title for entry in request.sample.history]
        messages = prompts.render(
            self.prompt, len(titles), max_interests=self._config.max_interests, language=self._config.language
        )
        return prompts.plain(messages, titles)

    def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        if os.environ.get(API_KEY):
            headers["Authorization"] = f"Bearer {os.environ[API_KEY]}"
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        with Deadline(self._config.timeout) as deadline:
            opener = urllib.request.build_opener(*self._handlers, *deadline.handlers())
            try:
                with opener.open(request, timeout=self._config.timeout) as response:
                    read = _read_all(response)
            except urllib.error.HTTPError as error:
                error.msg = _message(error)
                raise
            except (OSError, http.client.HTTPException):
                deadline.check()
                raise
            # a reply whose length nobody told ends like this as well
            deadline.check()
            return read


def _read_all(response: http.client.HTTPResponse) -> bytes:
    """All of a reply."""
    read = bytearray()
    while part := response.read1(1 << 16):
        read += part
        if len(read) > LONGEST_REPLY:
            raise http.client.HTTPException(f"a reply of more than {LONGEST_REPLY >> 20} MiB")
    if response.length:
        raise http.client.IncompleteRead(bytes(read[:0]), response.length)
    return bytes(read)


def json_schema(schema: dict[str, Any], count: int) -> dict[str, Any]:
    """Our schema as plain JSON Schema: item numbers become integers from 1 to `count`."""
    if schema.get("type") == HISTORY_ITEM:
        return {"type": "integer", "minimum": 1, "maximum": count}
    made = dict(schema)
    if "items" in made:
        made["items"] = json_schema(made["items"], count)
    if "properties" in made:
        made["properties"] = {name: json_schema(inner, count) for name, inner in made["properties"].items()}
    return made


def _is_about_form(status: int, message: str) -> bool:
    """Whether a refusal is about the wanted form: any 400 may be, others where they name it."""
    return status == 400 or (status in (422, 500, 501) and _ABOUT_FORM.search(message) is not None)


def _answer_in(reply: bytes, number: int, seconds: float) -> Answer:
    try:
        read = orjson.loads(reply)
        choice = read["choices"][0]
        text = choice["message"]["content"] or ""
        if not isinstance(text, str):
            raise TypeError
        usage = read.get("usage") or {}
        tokens = {"prompt": _tokens(usage, "prompt_tokens"), "answer": _tokens(usage, "completion_tokens")}
        finish = choice.get("finish_reason")
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return Answer(number, error="the reply is not that of an OpenAI-compatible endpoint", seconds=seconds)
    error = f"cut at {tokens['answer']} tokens" if finish == "length" else None
    return Answer(number, text=text, error=error, tokens=tokens, seconds=seconds)


def _tokens(usage: dict[str, Any], key: str) -> int:
    """A count of tokens, 0 where there is none."""
    count = int(usage.get(key) or 0)
    if not 0 <= count <= MOST_TOKENS:
        raise ValueError
    return count


def _checked_url(url: str | None, allow_remote: bool) -> str:
    if not url:
        raise ConfigError("--engine server needs --server URL, such as http://127.0.0.1:8080/v1")
    if "@" in url:
        # it would go to the resolver, into the sidecar and into messages; so it isn't shown here either
        raise ConfigError(f"--server: the URL holds a user name or a password; put a key into {API_KEY} instead")
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"--server {url}: is not a URL ({error})") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError(f"--server {url}: is not a URL such as http://127.0.0.1:8080/v1")
    if not allow_remote and not _is_loopback(host):
        raise ConfigError(f"--server {url}: is another machine; give --allow-remote to send titles there")
    return url.rstrip("/").removesuffix("/chat/completions")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _message(error: urllib.error.HTTPError) -> str:
    said = b""
    with error, contextlib.suppress(OSError, http.client.HTTPException):
        said = error.read(1 << 16)
    return " ".join(said.decode("utf-8", "replace").split()) or str(error.reason)


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    value = error.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


ENGINE = Server
