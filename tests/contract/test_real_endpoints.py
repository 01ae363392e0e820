"""Engine `server` against what real endpoints do: other forms of asking and answering, refusals, several servers."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError, LabelError, ModelError
from eimf_core.labeling.engines import server_pool
from tests.listening import Listening
from tests.openai_endpoint import GOOD, Serve, reply
from tests.openai_endpoint import label_from as run

THOUGHTS = "The user bought tea. " * 20


def completion(message: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": {"completion_tokens": 5}}


# -- what stands around an answer


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{GOOD}\n```",
        f"Here you go:\n```json\n{GOOD}\n```\nTell me if {{you}} want more.",
        f"Sure! {GOOD} I hope that helps.",
        f"<think>hmm {{not json}}</think>\n{GOOD}",
        f'maybe {{"interests": ["x"]}}?</think>{GOOD}',
        f'An example is {{"name": "x"}}, and so: {GOOD}',
        f"{{thinking}} {{ {GOOD}",
    ],
)
def test_an_object_within_other_text_is_taken(serve: Serve, tmp_path: Path, text: str) -> None:
    (made,) = run(tmp_path, serve(lambda number, body: reply(text)).url, 1)
    assert made.error is None and made.attempts == 1 and made.interests[0].name == "tea"


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": GOOD[:20]}, {"type": "text", "text": GOOD[20:]}]},
        {"content": None, "reasoning_content": f"{THOUGHTS}</think>{GOOD}"},
        {"content": "", "reasoning": GOOD},
    ],
)
def test_an_answer_in_another_place_is_found(serve: Serve, tmp_path: Path, message: dict[str, Any]) -> None:
    (made,) = run(tmp_path, serve(lambda number, body: completion(message)).url, 1)
    assert made.interests[0].name == "tea"


# -- models that think


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "reasoning_content": THOUGHTS},
        {"content": "", "reasoning": THOUGHTS},
        {"content": f"<think>{THOUGHTS}"},
        {"content": f"<think>{THOUGHTS}</think>"},
    ],
)
def test_a_model_that_thinks_is_asked_not_to(serve: Serve, tmp_path: Path, message: dict[str, Any]) -> None:
    def say(number: int, body: dict[str, Any]) -> Any:
        quiet = body.get("chat_template_kwargs") == {"enable_thinking": False}
        return reply(GOOD) if quiet else completion(message, "length")

    endpoint, heard = serve(say), Listening()
    made = run(tmp_path, endpoint.url, 3, heard, parallel=1)
    assert [(label.error, label.attempts) for label in made] == [(None, 1)] * 3 and len(endpoint.bodies) == 4
    assert heard.warnings == [f"{endpoint.url}: is asked without thinking from here on"]


def test_a_model_that_will_think_is_told_as_what_it_is(serve: Serve, tmp_path: Path) -> None:
    def say(number: int, body: dict[str, Any]) -> Any:
        if "chat_template_kwargs" in body:
            return 400, {}, {"error": {"message": "Unknown parameter: 'chat_template_kwargs'."}}
        return completion({"content": None, "reasoning_content": THOUGHTS}, "length")

    with pytest.raises(LabelError, match=r"the model thought for all its 5 tokens.*raise --max-tokens"):
        run(tmp_path, serve(say).url, 1, attempts=1)


# -- other ways to ask


@pytest.mark.parametrize(
    ("words", "missing", "there"),
    [
        ("Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens", "max_completion_tokens"),
        ("Unsupported value: 'temperature' does not support 0.7 with this model.", "temperature", "seed"),
        ("seed: Extra inputs are not permitted", "seed", "temperature"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_not_known_is_left_out(
    serve: Serve, tmp_path: Path, words: str, missing: str, there: str
) -> None:
    def say(number: int, body: dict[str, Any]) -> Any:
        return (400, {}, {"error": {"message": words}}) if missing in body else reply(GOOD)

    endpoint = serve(say)
    assert [made.attempts for made in run(tmp_path, endpoint.url, 3, parallel=1)] == [1] * 3
    assert len(endpoint.bodies) == 4
    assert all(there in body and "response_format" in body for body in endpoint.bodies[1:])


def test_a_change_of_form_is_told_once(serve: Serve, tmp_path: Path) -> None:
    def say(number: int, body: dict[str, Any]) -> Any:
        if body.get("response_format", {}).get("type") == "json_schema":
            return {"error": {"message": "response_format of type json_schema is not available"}}
        return reply(GOOD)

    endpoint, heard = serve(say), Listening()
    run(tmp_path, endpoint.url, 6, heard, parallel=3)
    assert heard.warnings == [f"{endpoint.url}: is asked with response_format json_object from here on"]


# -- the server's own words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"error": {"message": "no\x1b[31m\u202e context"}}, "the server says: no [31m context"),
        ((422, {}, {"detail": [{"loc": ["body"], "msg": "too\nlong"}]}), "HTTP 422: too long"),
        ((422, {}, {"error": "x" * 5000}), "HTTP 422: " + "x" * 299 + "…"),
        ((422, {}, {"object": "error", "message": "no room"}), "HTTP 422: no room"),
        ((422, {}, {"error": " \u202e "}), "HTTP 422: nothing more"),
        (b"<html>login\x00</html>", "it begins with: <html>login </html>"),
        (completion({"content": None, "refusal": "I can't."}), "the model refuses: I can't."),
        (completion({"content": ""}, "content_filter"), "content filter"),
        (completion({"content": " "}), "the answer is empty"),
    ],
)  # fmt: skip
def test_what_the_server_says_is_passed_on(serve: Serve, tmp_path: Path, content: Any, words: str) -> None:
    (made,) = run(tmp_path, serve(lambda number, body: content).url, 1, attempts=1, max_error_share="1")
    assert words in (made.error or "") and (made.error or "").isprintable()


def test_a_forgotten_v1(serve: Serve, tmp_path: Path) -> None:
    endpoint = serve(lambda number, body: (404, {}, {"detail": "Not Found"}))
    base = endpoint.url.removesuffix("/v1")
    with pytest.raises(ModelError, match=f"HTTP 404: Not Found; is /v1 missing at the end of --server {base}\\?"):
        run(tmp_path, base)
    with pytest.raises(ModelError) as told:
        run(tmp_path, endpoint.url)
    assert "/v1 missing" not in str(told.value)


@pytest.mark.parametrize("status", [404, 400])
def test_a_model_that_the_server_does_not_have(serve: Serve, tmp_path: Path, status: int) -> None:
    endpoint = serve(lambda number, body: (status, {}, {"error": {"message": "The model `default` does not exist."}}))
    endpoint.models = {"data": [{"id": f"m{number}"} for number in range(9)]}
    with pytest.raises(ModelError, match="--model is 'default', the server has m0, m1, m2, m3, m4, m5, …; finished"):
        run(tmp_path, endpoint.url)
    endpoint.models = [1]
    with pytest.raises(ModelError, match="--model is 'qwen', --model names it"):
        run(tmp_path, endpoint.url, model="qwen")


def test_a_redirect_names_its_target(serve: Serve, tmp_path: Path) -> None:
    endpoint = serve(lambda number, body: (307, {"Location": "https://example.org/v1?token=secret"}, {}))
    with pytest.raises(ModelError, match=r"redirects to https://example.org/v1, which is not followed") as told:
        run(tmp_path, endpoint.url)
    assert "secret" not in str(told.value)


# -- the key


def test_the_key_is_sent(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EIMF_API_KEY", " sk-1 \n")
    endpoint = serve(lambda number, body: reply(GOOD))
    run(tmp_path, endpoint.url, 1)
    assert endpoint.keys == ["Bearer sk-1"]
    monkeypatch.setenv("EIMF_API_KEY", "sk-\nX: y")
    with pytest.raises(ConfigError, match="EIMF_API_KEY: holds characters") as told:
        run(tmp_path, endpoint.url, 1)
    assert "sk-" not in str(told.value)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("key", ["", "sk-1"])
def test_a_refused_key_stops_at_once_and_nothing_is_lost(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, key: str
) -> None:
    monkeypatch.setenv("EIMF_API_KEY", key)
    refusal = {"error": {"message": "Incorrect API key provided"}}
    endpoint = serve(lambda number, body: reply(GOOD) if number < 2 else (status, {}, refusal))
    with pytest.raises(ModelError) as told:
        run(tmp_path, endpoint.url, 9, parallel=1)
    has = "is refused" if key else "is not set"
    expected = f"HTTP {status}: Incorrect API key provided; the key in EIMF_API_KEY {has}; finished labels are kept"
    assert str(told.value) == f"{endpoint.url}: {expected}"
    assert len(endpoint.bodies) == 3
    assert (tmp_path / "labels.jsonl.partial").read_bytes().count(b"\n") == 2


# -- several servers


def test_the_load_is_shared(serve: Serve, tmp_path: Path) -> None:
    both = threading.Barrier(4, timeout=10)

    def say(number: int, body: dict[str, Any]) -> Any:
        both.wait()
        return reply(GOOD)

    servers = [serve(say), serve(say)]
    assert len(run(tmp_path, [each.url for each in servers], 8, parallel=2)) == 8
    assert [each.most_open for each in servers] == [2, 2]


def test_a_dead_server_is_left_out_while_others_live(serve: Serve, tmp_path: Path) -> None:
    living, dead, heard = serve(lambda number, body: reply(GOOD)), serve(lambda number, body: reply(GOOD)), Listening()
    dead.close()
    made = run(tmp_path, [dead.url, living.url], 8, heard, parallel=2, retries=0)
    assert [(label.error, label.attempts) for label in made] == [(None, 1)] * 8
    assert len([line for line in heard.warnings if "left out for a while" in line]) == 1
    living.close()
    (tmp_path / "labels.jsonl").unlink()
    with pytest.raises(ModelError, match="no answer after 2 attempts"):
        run(tmp_path, [dead.url, living.url], 8, retries=1)


@pytest.mark.parametrize("answer", [(404, {}, {"error": "no such path"}), (503, {"Retry-After": "60"}, {})])
def test_a_server_that_will_not_is_left_out_while_others_live(serve: Serve, tmp_path: Path, answer: Any) -> None:
    unable, living = serve(lambda number, body: answer), serve(lambda number, body: reply(GOOD))
    made = run(tmp_path, [unable.url, living.url], 12, parallel=1, retries=0)
    assert [label.error for label in made] == [None] * 12 and len(unable.bodies) <= 2


def test_a_server_that_comes_back_is_asked_again(serve: Serve, tmp_path: Path) -> None:
    def slow(number: int, body: dict[str, Any]) -> Any:
        time.sleep(0.02)
        return reply(GOOD)

    busy = serve(lambda number, body: reply(GOOD) if number else (503, {}, {}))
    assert len(run(tmp_path, [busy.url, serve(slow).url], 20, parallel=1)) == 20
    assert len(busy.bodies) > 2


def test_servers_that_all_fail_are_asked_as_often_as_allowed(serve: Serve, tmp_path: Path) -> None:
    # they are back as soon as they have failed; before the test would never end they answer
    def busy(number: int, body: dict[str, Any]) -> Any:
        return (503, {"Retry-After": "0"}, {}) if number < 20 else reply(GOOD)

    servers = [serve(busy), serve(busy)]
    with pytest.raises(LabelError, match="HTTP 503"):
        run(tmp_path, [each.url for each in servers], 1, parallel=1, retries=1, attempts=1)
    assert sum(len(each.bodies) for each in servers) == 4


def test_a_server_that_is_gone_stays_so_while_the_others_are_away() -> None:
    pool = server_pool.Pool(["http://a/v1", "http://b/v1"])
    gone, away = pool.endpoints
    pool.failed(away, pause=30)
    assert pool.failed(gone, gone=True)
    assert not pool.failed(gone)
    assert gone.gone and pool.take() is away


# -- the time for all of it


def test_looking_up_a_host_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: stop.wait(20))
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"timed out after 0\.3 seconds"):
        run(tmp_path, "http://example.org/v1", 1, allow_remote=True, timeout=0.3, retries=0)
    stop.set()
    assert time.monotonic() - began < 5


def test_a_host_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ModelError, match="Name or service not known"):
        run(tmp_path, "http://example.org/v1", 1, allow_remote=True, retries=0)


def test_connecting_is_bounded_over_all_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with many addresses, none of which answers."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    for _ in range(3):  # the queue of those who wait to be accepted is full then
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(full.getsockname())
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", full.getsockname())
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry] * 5)
    began = time.monotonic()
    with pytest.raises(ModelError, match="timed out"):
        run(tmp_path, "http://example.org/v1", 1, allow_remote=True, timeout=0.5, retries=0)
    assert time.monotonic() - began < 2
    for each in (*waiting, full):
        each.close()


def test_a_handshake_that_never_comes_is_bounded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(ModelError, match="timed out"):
            run(tmp_path, f"https://127.0.0.1:{silent.getsockname()[1]}/v1", 1, timeout=0.3, retries=0)
        assert time.monotonic() - began < 5


def test_what_is_sent_is_the_same_each_time(serve: Serve, tmp_path: Path) -> None:
    """Whatever the number of servers and of questions at a time."""
    sent = []
    for parallel in (1, 4):
        endpoint = serve(lambda number, body: reply(GOOD))
        run(tmp_path, endpoint.url, 4, parallel=parallel, model="m")
        (tmp_path / "labels.jsonl").unlink()
        sent.append(sorted(orjson.dumps(body) for body in endpoint.bodies))
    assert sent[0] == sent[1]
