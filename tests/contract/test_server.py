"""Engine `server`: against a real HTTP server on this machine."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError, LabelError, ModelError
from eimf_core.labeling.engines import server_exchange
from tests.openai_endpoint import GOOD, Serve
from tests.openai_endpoint import label_from as run
from tests.openai_endpoint import reply as said
from tests.tiny_gguf import write_tiny_gguf


def reply(text: str = GOOD, finish: str = "stop") -> dict[str, Any]:
    return said(text, finish)


def test_what_is_sent_and_what_comes_back(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    endpoint = serve(lambda number, body: reply())
    labels = run(tmp_path, endpoint.url, model="small", seed=5)
    assert [entry.interests[0].items for entry in labels] == [["a"]] * 4
    assert labels[0].tokens == {"prompt": 9, "answer": 5} and labels[0].model == "small"
    body = endpoint.bodies[0]
    assert endpoint.paths[0] == "/v1/chat/completions" and body["seed"] == 5 and body["temperature"] == 0
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["messages"][-1]["content"] == "1. Green Tea <|im_end|>\n2. Wool Yarn"
    number = body["response_format"]["json_schema"]["schema"]["properties"]["interests"]["items"]["properties"]["items"]
    assert number["items"] == {"type": "integer", "minimum": 1, "maximum": 2}
    assert "secret" not in orjson.dumps(endpoint.bodies).decode()


def test_several_at_a_time(serve: Serve, tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=10)

    def say(number: int, body: dict[str, Any]) -> Any:
        together.wait()
        return reply()

    endpoint = serve(say)
    assert len(run(tmp_path, endpoint.url, 6, parallel=3)) == 6
    assert endpoint.most_open == 3


def test_a_busy_server_is_asked_again(serve: Serve, tmp_path: Path) -> None:
    busy = [(503, {}, {}), (429, {"Retry-After": "0"}, {}), reply()]
    endpoint = serve(lambda number, body: busy[number])
    labels = run(tmp_path, endpoint.url, 1)
    assert labels[0].error is None and labels[0].attempts == 1 and len(endpoint.bodies) == 3


def test_an_unusable_answer_is_asked_again_with_another_seed(serve: Serve, tmp_path: Path) -> None:
    endpoint = serve(lambda number, body: reply("no") if number == 0 else reply())
    assert run(tmp_path, endpoint.url, 1, temperature=0.2, retry_temperature=0.9)[0].attempts == 2
    assert [(body["seed"], body["temperature"]) for body in endpoint.bodies] == [(0, 0.2), (1, 0.9)]


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("known", ["json_object", None])
def test_an_endpoint_that_wants_the_schema_otherwise(
    serve: Serve, tmp_path: Path, status: int, known: str | None
) -> None:
    """Each form that is refused gives way to the next, for good, and costs no try."""

    def say(number: int, body: dict[str, Any]) -> Any:
        form = body.get("response_format", {}).get("type")
        return reply() if form == known else (status, {}, {"error": f"'response_format' is {form}" + "." * 400})

    endpoint = serve(say)
    labels = run(tmp_path, endpoint.url, parallel=1, retries=0)
    assert [(entry.error, entry.attempts) for entry in labels] == [(None, 1)] * 4
    forms = [body.get("response_format", {}).get("type") for body in endpoint.bodies]
    refused = ["json_schema"] if known else ["json_schema", "json_object"]
    assert forms == refused + [known] * 4
    if known:
        assert endpoint.bodies[-1]["response_format"]["schema"]["required"] == ["interests"]


def test_a_question_refused_in_every_form_takes_none_from_the_others(serve: Serve, tmp_path: Path) -> None:
    """Such as a prompt longer than the server's context, which is a 400 as well."""
    endpoint = serve(lambda number, body: (400, {}, {"error": "too long"}) if number < 3 else reply())
    labels = run(tmp_path, endpoint.url, parallel=1, attempts=1, max_error_share="1")
    assert [entry.error for entry in labels][1:] == [None] * 3 and "HTTP 400" in (labels[0].error or "")
    forms = [body.get("response_format", {}).get("type") for body in endpoint.bodies]
    assert forms == ["json_schema", "json_object", None, *["json_schema"] * 3]


def test_an_error_that_is_not_about_the_schema(serve: Serve, tmp_path: Path) -> None:
    endpoint = serve(lambda number, body: reply() if number else (500, {}, {"error": "out of memory"}))
    assert all(entry.error is None for entry in run(tmp_path, endpoint.url, parallel=1))
    assert {body["response_format"]["type"] for body in endpoint.bodies} == {"json_schema"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "OpenAI-compatible"),
        ({"choices": []}, "OpenAI-compatible"),
        (reply(finish="length"), "cut at 5 tokens"),
        ((422, {}, b"too long"), "HTTP 422: too long"),
        ((500, {}, b"oops"), "HTTP 500: oops"),
    ],
)
def test_answers_that_are_none(serve: Serve, tmp_path: Path, content: Any, words: str) -> None:
    endpoint = serve(lambda number, body: content)
    with pytest.raises(LabelError, match=words):
        run(tmp_path, endpoint.url, 1, retries=1, attempts=1)


@pytest.mark.parametrize("status", [401, 404, 302])
def test_a_server_that_will_not(serve: Serve, tmp_path: Path, status: int) -> None:
    other = serve(lambda number, body: reply())
    endpoint = serve(lambda number, body: (status, {"Location": other.url + "/chat/completions"}, {}))
    with pytest.raises(ModelError, match=f"HTTP {status}"):
        run(tmp_path, endpoint.url)
    assert not other.bodies and not (tmp_path / "labels.jsonl").exists()


def test_a_server_that_goes_away_keeps_what_is_finished(serve: Serve, tmp_path: Path) -> None:
    endpoint = serve(lambda number, body: reply() if number < 2 else (503, {}, {}))
    with pytest.raises(LabelError):
        run(tmp_path, endpoint.url, parallel=1, retries=0, attempts=1)
    endpoint.close()
    (tmp_path / "labels.jsonl").unlink()
    with pytest.raises(ModelError, match="no answer after 2 attempts"):
        run(tmp_path, endpoint.url, retries=1)


def test_a_server_that_does_not_answer_in_time(serve: Serve, tmp_path: Path) -> None:
    stop = threading.Event()
    endpoint = serve(lambda number, body: stop.wait(20) and reply())
    with pytest.raises(ModelError, match="timed out"):
        run(tmp_path, endpoint.url, 1, timeout=0.2, retries=1)
    stop.set()


def test_a_server_that_is_there_and_fails_in_many_ways_costs_one_question(serve: Serve, tmp_path: Path) -> None:
    broken: list[Any] = [(503, {}, {"error": "busy"}), (200, {"Content-Length": "9"}, iter([b"{"]))]
    endpoint = serve(lambda number, body: broken[number] if number < 2 else reply())
    made = run(tmp_path, endpoint.url, 3, retries=1, attempts=1, parallel=1, max_error_share="50%")
    assert [entry.error is None for entry in made] == [False, True, True] and "IncompleteRead" in str(made[0].error)


def dripping(raw: bytes, pause: float) -> Iterator[bytes]:
    for at in range(len(raw)):
        time.sleep(pause)
        yield raw[at : at + 1]


def test_a_reply_that_comes_in_pieces(serve: Serve, tmp_path: Path) -> None:
    whole = orjson.dumps(reply())
    endpoint = serve(lambda number, body: (200, {"Content-Length": str(len(whole))}, dripping(whole, 0.001)))
    assert run(tmp_path, endpoint.url, 1)[0].interests[0].name == "tea"
    # each piece comes in time, the whole does not
    (tmp_path / "labels.jsonl").unlink()
    slow = serve(lambda number, body: (200, {"Content-Length": str(len(whole))}, dripping(whole, 0.05)))
    began = time.monotonic()
    with pytest.raises(ModelError, match="timed out"):
        run(tmp_path, slow.url, 1, timeout=0.3, retries=0)
    assert time.monotonic() - began < 5


def test_a_reply_without_end_or_cut_short(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_exchange, "LONGEST_REPLY", 1 << 20)
    endless = serve(lambda number, body: (200, {}, itertools.repeat(b" " * 65536)))
    with pytest.raises(ModelError, match="more than 1 MiB"):
        run(tmp_path, endless.url, 1, retries=0)
    whole = orjson.dumps(reply())
    cut = serve(lambda number, body: (200, {"Content-Length": str(len(whole) + 9)}, iter([whole])))
    with pytest.raises(ModelError, match="no answer after 1 attempts"):
        run(tmp_path, cut.url, 1, retries=0)


@pytest.mark.parametrize("url", ["http://example.org/v1", "http://10.0.0.1/v1", "http://localhost.example.org"])
def test_another_machine_has_to_be_allowed(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--allow-remote"):
        run(tmp_path, url)


@pytest.mark.parametrize(
    "url", [[], "", "ftp://127.0.0.1", "127.0.0.1:8080", "http://", "http://[::1", "http://a:x", "http://a/ b"]
)
def test_no_address_at_all(url: str | list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--server"):
        run(tmp_path, url, allow_remote=True)


def test_a_real_model_behind_http(serve: Serve, tmp_path: Path) -> None:
    """llama-cpp-python's own chat completion, served over HTTP; it knows the schema but keeps it loosely."""
    llama_cpp = pytest.importorskip("llama_cpp")
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    model = llama_cpp.Llama(str(path), n_ctx=2048, n_threads=1, n_threads_batch=1, verbose=False)
    lock = threading.Lock()

    def say(number: int, body: dict[str, Any]) -> Any:
        with lock:
            wanted = body["response_format"]["json_schema"]["schema"]
            return model.create_chat_completion(
                messages=body["messages"],
                seed=body["seed"],
                temperature=body["temperature"],
                max_tokens=body["max_tokens"],
                response_format={"type": "json_object", "schema": wanted},
            )

    endpoint = serve(say)
    labels = run(tmp_path, endpoint.url, 2, max_tokens=600, max_interests=1, max_error_share="1")
    assert len(labels) == 2 and all(entry.tokens["prompt"] > 100 for entry in labels)
    model.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"[1]", b'"text"', b"{}", b'{"choices":[]}', b'{"choices":["message"]}', b'{"choices":[{"message":[]}]}',
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"message": {"content": ["a"]}}]},
        {**reply(), "usage": [1]},
        {**reply(), "usage": {"completion_tokens": "many"}},
        {**reply(), "usage": {"completion_tokens": 1e300}},
        {**reply(), "usage": {"completion_tokens": 1 << 60}},
        {**reply(), "usage": {"prompt_tokens": -1}},
        b'{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1e999}}',
        b"\xff\xfe", b"",
    ],
)  # fmt: skip
def test_a_reply_of_another_form_is_an_error_of_the_label(serve: Serve, tmp_path: Path, answer: Any) -> None:
    endpoint = serve(lambda number, body: answer)
    (label,) = run(tmp_path, endpoint.url, 1, max_error_share="100%", attempts=1)
    assert (label.error or "").startswith("the reply is not that of an OpenAI-compatible endpoint")


@pytest.mark.parametrize(
    "url", ["http://me:secret@127.0.0.1:1/v1", "http://me:secret@127.0.0.1:x/v1", "me:secret@host"]
)
def test_a_url_with_a_password_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="EIMF_API_KEY") as caught:
        run(tmp_path, url, 1)
    assert "secret" not in str(caught.value)


def test_a_pause_that_is_no_number_is_passed_over(serve: Serve, tmp_path: Path) -> None:
    answers: list[Any] = [(503, {"Retry-After": "\u00b2"}, {}), reply()]
    endpoint = serve(lambda number, body: answers[number])
    assert run(tmp_path, endpoint.url, 1, retries=1, attempts=1)[0].error is None


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX: ", b"", b"HTTP/1.1 500 Oops\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_server_that_drips_is_left_when_the_time_is_over(tmp_path: Path, start: bytes) -> None:
    """Headers without end, `100 Continue` for ever, and an error that never comes to its end."""
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listening.accept()
            with peer:
                peer.sendall(start)
                for _ in range(200):
                    peer.sendall(b"x" if start else b"HTTP/1.1 100 Continue\r\n\r\n")
                    time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with listening, pytest.raises((ModelError, LabelError)):
        run(tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}/v1", 1, timeout=0.5, retries=0, attempts=1)
    assert time.monotonic() - began < 10


@contextlib.contextmanager
def stalling(start: bytes, drips: bytes = b"") -> Iterator[str]:
    """An endpoint that sends this, then a byte now and then or nothing at all, and never closes a connection."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve_one(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.sendall(start)
            while not over.wait(0.05):
                peer.sendall(drips)

    def serve_all() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve_one, args=listening.accept()[:1], daemon=True).start()

    threading.Thread(target=serve_all, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def none_is_left_by(moment: float) -> bool:
    """On an idle machine they end at once; one that stays would do so for minutes, so a busy one has time."""
    while any(thread.name.startswith(server_exchange.THREADS) for thread in threading.enumerate()):
        if time.monotonic() > moment:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("size", [b"Content-Length: 100", b"Transfer-Encoding: chunked", b"Connection: close"])
def test_an_error_whose_body_stalls_is_one_at_once(size: bytes) -> None:
    body = b"7\r\nno such\r\n" if b"chunked" in size else b"no such"
    with stalling(b"HTTP/1.1 401 No\r\n" + size + b"\r\n\r\n" + body) as url:
        began = time.monotonic()
        with pytest.raises(server_exchange.Refusal) as caught:
            server_exchange.exchange(url, {}, key=None, seconds=4)
        assert time.monotonic() - began < 3
        assert caught.value.status == 401 and caught.value.said == b"no such"
        assert none_is_left_by(began + 8)


def test_an_error_whose_body_stalls_is_told_after_one_question(tmp_path: Path) -> None:
    with (
        stalling(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nno such") as url,
        pytest.raises(ModelError, match="HTTP 401: no such"),
    ):
        run(tmp_path, url, 1, timeout=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "drips"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nX: ", b""),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
)
def test_no_thread_stays_with_a_server_that_drips(start: bytes, drips: bytes) -> None:
    with stalling(start, drips) as url:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="after 1 seconds"):
            server_exchange.exchange(url, {}, key=None, seconds=1)
        assert none_is_left_by(began + 10)


@pytest.mark.parametrize("size", [b"Content-Length: 9999", b"Transfer-Encoding: chunked"])
def test_no_thread_stays_with_an_error_that_drips(size: bytes) -> None:
    with stalling(b"HTTP/1.1 503 Busy\r\n" + size + b"\r\n\r\n", b"0") as url:
        began = time.monotonic()
        with pytest.raises(server_exchange.Refusal):
            server_exchange.exchange(url, {}, key=None, seconds=2)
        assert none_is_left_by(began + 10)


@pytest.mark.parametrize("status", [400, 401])
def test_a_key_that_the_server_repeats_is_not_shown(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("EIMF_API_KEY", "sk-0123456789abcdef")
    endpoint = serve(lambda number, body: (status, {}, {"error": "no such key: sk-0123456789abcdef"}))
    with pytest.raises((LabelError, ModelError)) as caught:
        run(tmp_path, endpoint.url, 1)
    assert "no such key: ***" in str(caught.value)
    assert all(b"sk-0123" not in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
