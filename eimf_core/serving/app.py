"""The service as an ASGI application: which path does what, and what is refused."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import msgspec
import orjson

from eimf_core.errors import ConfigError, EimfError, InputError
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend.query.query_resolution import UnknownItemError
from eimf_core.recommend.session import Session
from eimf_core.serving import metrics as text_form
from eimf_core.serving import request_body
from eimf_core.serving.batching import AnswerLine, Batcher, OverloadedError, UnexpectedError
from eimf_core.serving.config import ServeConfig
from eimf_core.serving.live_model import LiveModel
from eimf_core.serving.metrics import Metrics

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
METHODS = {"/recommend": "POST", "/similar": "GET", "/health": "GET", "/metrics": "GET"}
JSON, LINES = b"application/json", b"application/x-ndjson"
RETRY = (b"retry-after", b"1")
MAX_FIELDS = 10
"""Fields of a query string that are read."""
MAX_REPORTED = 100
"""Faults that are told on stderr."""
LARGE = 1 << 14
"""Bytes of a body from which on it is read in a thread of its own, so that other requests do not wait for it."""


class HttpError(Exception):
    """An answer other than 200: its status, what is wrong, and further headers."""

    def __init__(self, status: int, problem: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(problem)
        self.status, self.headers = status, headers


class DisconnectedError(Exception):
    """The client has closed the connection before its request was whole."""


class App:
    """Answers requests; `connections` tells how many are open.

    Titles are looked for in the whole catalogue and words are encoded, which takes as long as hundreds of histories:
    such queries are answered `aside`.
    """

    def __init__(
        self,
        live: LiveModel,
        batches: Batcher,
        aside: Batcher,
        metrics: Metrics,
        settings: ServeConfig,
        token: str | None = None,
        connections: Callable[[], int] = lambda: 0,
        reporter: Reporter = SILENT,
        others: Callable[[], list[bytes]] = list,
    ) -> None:
        """`others`: the figures of the other processes of the service, as `Metrics.encoded` gives them."""
        self._others = others
        self._live, self._batches, self._aside = live, batches, aside
        self._metrics, self._settings = metrics, settings
        self._token = None if token is None else token.encode()
        self._connections, self._reporter = connections, reporter
        self._reported: set[str] = set()
        self._most = settings.max_body << 10
        self._reader = ThreadPoolExecutor(1, "eimf bodies")
        self._of_path = {
            "/recommend": self._recommend,
            "/similar": self._similar,
            "/health": self._health,
            "/metrics": self._figures,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        path, kind = scope["path"], JSON
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            status, kind, body, headers = await self._answer(path, scope, receive)
        except HttpError as error:
            status, body, headers = error.status, _problem(str(error)), error.headers
            if isinstance(error.__cause__, EimfError):
                self._report(error.__cause__)
        except OverloadedError:
            status, body, headers = 503, _problem("too many queries wait; ask again later"), (RETRY,)
        except DisconnectedError:
            return
        except Exception as error:
            # a fault in one answer ends no other; what it says may be no business of the client
            fault = UnexpectedError(error)
            self._report(fault)
            status, body = 500, _problem(str(fault))
        length = (b"content-length", b"%d" % len(body))
        all_headers = [(b"content-type", kind), length, *headers]
        await send({"type": "http.response.start", "status": status, "headers": all_headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        self._metrics.request(path if path in METHODS else "other", status, time.perf_counter() - began)

    def _report(self, fault: EimfError) -> None:
        """Say once of each fault what it is; of an unexpected one where, since its message may quote a query."""
        told = f"{fault} at {fault.place}" if isinstance(fault, UnexpectedError) else str(fault)
        if told not in self._reported and len(self._reported) < MAX_REPORTED:
            self._reported.add(told)
            self._reporter.warn(f"status 500: {told}")

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes, Any]:
        answer = self._of_path.get(path)
        if answer is None:
            raise HttpError(404, f"no such path; there are {', '.join(METHODS)}")
        method = METHODS[path]
        if scope["method"] != method and (scope["method"], method) != ("HEAD", "GET"):
            raise HttpError(405, f"{path} takes {method}", (b"allow", method.encode()))
        allowed = self._is_allowed(scope["headers"])
        if not allowed and path != "/health":
            raise HttpError(401, "a token is needed: Authorization: Bearer TOKEN", (b"www-authenticate", b"Bearer"))
        return await answer(scope, receive, allowed)

    def _is_allowed(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        # names of schemes are of either case
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)

    async def _recommend(self, scope: Scope, receive: Receive, _: bool) -> tuple[int, bytes, bytes, Any]:
        body = await self._body(scope["headers"], receive)
        model = self._live.now
        try:
            if len(body) < LARGE:
                parsed = request_body.read(body, self._settings.most_items)
            else:
                loop = asyncio.get_running_loop()
                parsed = await loop.run_in_executor(self._reader, request_body.read, body, self._settings.most_items)
        except InputError as error:
            raise HttpError(400, str(error)) from None
        long = any(query.titles or query.text for query in parsed.queries)
        answers = await (self._aside if long else self._batches).answers(model.session, parsed.queries)
        what = {"one": "", "array": "query", "lines": "line"}[parsed.form]
        lines = [_line(answer, f"{what} {number}: " if what else "") for number, answer in enumerate(answers, start=1)]
        version = ((b"eimf-model-version", model.version.encode()),)
        if parsed.form == "one":
            return 200, JSON, lines[0], version
        if parsed.form == "lines":
            return 200, LINES, b"".join(lines), version
        return 200, JSON, b"[%b]\n" % b",".join(line[:-1] for line in lines), version

    async def _similar(self, scope: Scope, receive: Receive, _: bool) -> tuple[int, bytes, bytes, Any]:
        item, k = self._similar_to(scope["query_string"])
        model = self._live.now

        def ask(session: Session) -> bytes:
            return session.similar_line(item, k)

        answer = await self._aside.answer(model.session, ask)
        if isinstance(answer, UnknownItemError):
            raise HttpError(404, str(answer))
        return 200, JSON, _line(answer, ""), ((b"eimf-model-version", model.version.encode()),)

    def _similar_to(self, query: bytes) -> tuple[str, int | None]:
        try:
            if query.count(b"&") >= MAX_FIELDS:
                raise HttpError(400, "too many fields in the query string; /similar has item, k")
            given = parse_qs(query.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            raise HttpError(400, "the query string is not percent-encoded UTF-8") from None
        if other := sorted(given.keys() - {"item", "k"}):
            raise HttpError(400, f"unknown field '{other[0][:80]}'; /similar has item, k")
        if len(given.get("item", ())) != 1 or not given["item"][0]:
            raise HttpError(400, "field 'item': give one id or title, as in /similar?item=S1200&k=5")
        if len(given["item"][0]) > request_body.LONGEST_TEXT:
            raise HttpError(400, f"field 'item': is longer than {request_body.LONGEST_TEXT:,} characters")
        if "k" not in given:
            return given["item"][0], None
        typed, most = given["k"][-1], self._settings.most_items
        if not (typed.isascii() and typed.isdigit() and len(typed) < 10 and 1 <= int(typed) <= most):
            raise HttpError(400, f"field 'k': is '{typed[:80]}', expected a number from 1 to {most}")
        return given["item"][0], int(typed)

    async def _health(self, scope: Scope, receive: Receive, allowed: bool) -> tuple[int, bytes, bytes, Any]:
        live = self._live
        made: dict[str, Any] = {"status": "ok" if live.problem is None else "old model"}
        if allowed:
            config = live.now.session.model.config
            made |= {
                "model": str(live.path),
                "version": live.now.version,
                "backbone": config.backbone,
                "items": len(live.now.session.items),
                "loaded": round(live.now.loaded, 3),
            }
            if live.problem is not None:
                made["problem"] = live.problem
        return 200, JSON, orjson.dumps(made) + b"\n", ()

    async def _figures(self, scope: Scope, receive: Receive, _: bool) -> tuple[int, bytes, bytes, Any]:
        now = self._live.now
        model = {"version": now.version, "backbone": now.session.model.config.backbone}
        total, gauges = text_form.together(self._metrics, self.gauges, self._others())
        return 200, text_form.CONTENT_TYPE, total.text(gauges, model, now.loaded), ()

    @property
    def gauges(self) -> dict[str, float]:
        """Figures of this moment."""
        return {
            "queries_waiting": self._batches.waiting + self._aside.waiting,
            "connections": self._connections(),
            "old_model": float(self._live.problem is not None),
        }

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and int(value) > self._most:
                raise self._too_large()
        message = await receive()
        body: bytes = message.get("body", b"")
        parts = [body]
        size = len(body)
        while message["type"] == "http.request" and message.get("more_body"):
            if size > self._most:
                break
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if message["type"] != "http.request":
            raise DisconnectedError
        if size > self._most:
            raise self._too_large()
        return body if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> HttpError:
        most = f"{self._settings.max_body} KiB (--max-body)"
        return HttpError(413, f"the body is larger than {most}; ask in several requests")


def _line(answer: AnswerLine, place: str) -> bytes:
    """An answer; HttpError for a query that has none."""
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, InputError | ConfigError):
        raise HttpError(422, f"{place}{answer}")
    raise HttpError(500, f"{place}{answer}") from answer


def _problem(problem: str) -> bytes:
    return msgspec.json.encode({"error": problem}) + b"\n"
