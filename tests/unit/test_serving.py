"""The service without a socket: bodies, statuses, what waits, the model that is replaced, figures."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import files
from eimf_core.model_directory import artifact
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.query.request import QueryRequest
from eimf_core.recommend.session import Session
from eimf_core.records import Recommendation
from eimf_core.serving import batching, http_server, request_body
from eimf_core.serving.app import App
from eimf_core.serving.batching import Batcher
from eimf_core.serving.config import ServeConfig
from eimf_core.serving.live_model import LiveModel
from eimf_core.serving.metrics import GAUGES, Metrics
from tests.listening import Listening
from tests.recommend_models import small_items, write_named_model

DEEP = b'{"history":' + b"[" * 2000 + b"]" * 2000 + b"}"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_model(tmp_path_factory.mktemp("serving") / "model")


@pytest.fixture(scope="module")
def live(path: Path) -> LiveModel:
    return LiveModel(path, ServeConfig(), QueryRequest(), Listening(), Metrics())


def served(path: Path, reporter: Listening | None = None, request: QueryRequest | None = None) -> LiveModel:
    return LiveModel(path, ServeConfig(), request or QueryRequest(), reporter or Listening(), Metrics())


Answer = tuple[int, bytes, dict[bytes, bytes]]


def asked(
    live: LiveModel, *requests: tuple[str, str, bytes | list[bytes]], token: str | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (), answering: bool = True, reporter: Listening | None = None,
    **settings: Any,
) -> list[Answer]:  # fmt: skip
    """The answers to requests (method, path, body or parts of one) that arrive together."""
    chosen, metrics = ServeConfig(**settings), Metrics()
    batches, aside = Batcher(chosen.timeout, metrics), Batcher(chosen.timeout, metrics)
    app = App(live, batches, aside, metrics, chosen, token, reporter=reporter or Listening())

    async def one(method: str, target: str, body: bytes | list[bytes]) -> Answer:
        path, _, query = target.partition("?")
        parts = [body] if isinstance(body, bytes) else list(body)
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}
        await app(scope, receive, send)
        start, end = said
        return start["status"], end["body"], dict(start["headers"])

    async def all_of_them() -> list[Answer]:
        for each in (batches, aside):
            if not answering:
                each._thread = threading.Thread()
            each.start(asyncio.get_running_loop())
        return await asyncio.gather(*(one(*request) for request in requests))

    try:
        return asyncio.run(all_of_them())
    finally:
        batches.stop()
        aside.stop()


def recommended(live: LiveModel, body: bytes, **settings: Any) -> Answer:
    return asked(live, ("POST", "/recommend", body), **settings)[0]


def problem(answer: Answer) -> str:
    return str(orjson.loads(answer[1])["error"])


def lines_of(path: Path, *lines: bytes) -> list[bytes]:
    """What `eimf recommend` answers to Query lines."""
    session = Session(path, RecommendConfig())
    queries = request_body.read(b"\n".join(lines), 1000).queries
    return session.lines([session.resolver.resolve(query) for query in queries])


QUERIES = [b'{"history":["tea-1"]}', b'{"id":"me","history":["yarn-1","nope"],"k":2}', b'{"history":[]}']


def test_one_query_many_lines_and_an_array_have_the_answers_of_recommend(path: Path, live: LiveModel) -> None:
    expected = lines_of(path, *QUERIES)
    status, body, headers = recommended(live, QUERIES[0])
    assert (status, body) == (200, expected[0])
    assert (
        headers[b"content-type"] == b"application/json" and headers[b"eimf-model-version"].decode() == live.now.version
    )
    status, body, headers = recommended(live, b"\n".join(QUERIES) + b"\n")
    assert (status, body, headers[b"content-type"]) == (200, b"".join(expected), b"application/x-ndjson")
    status, body, _ = recommended(live, b"[" + b" , ".join(QUERIES) + b"]")
    assert status == 200 and orjson.loads(body) == [orjson.loads(line) for line in expected]
    spread = orjson.dumps(orjson.loads(QUERIES[1]), option=orjson.OPT_INDENT_2)
    assert orjson.loads(recommended(live, spread)[1])["id"] == "me"


def test_a_byte_order_mark_before_a_body_is_no_part_of_it(live: LiveModel) -> None:
    for body in (QUERIES[0], b"[" + QUERIES[0] + b"]", b"\n".join(QUERIES)):
        assert recommended(live, b"\xef\xbb\xbf" + body)[:2] == recommended(live, body)[:2]
    assert recommended(live, b"\xef\xbb\xbf")[0] == 400


def test_a_title_of_several_items_is_answered_with_their_ids(path: Path, live: LiveModel) -> None:
    body = b'{"titles":["fish","green tea"]}'
    status, line, _ = recommended(live, body)
    answer = orjson.loads(line)
    assert status == 200 and [line] == lines_of(path, body) and answer["unknown"] == ["fish"]
    assert {"item": "fish-6", "title": "Fish Net"} in answer["ambiguous"]["fish"] and "fallback" not in answer
    assert msgspec.json.decode(line, type=Recommendation).ambiguous.keys() == {"fish"}
    assert b"ambiguous" not in recommended(live, b'{"titles":["green tea"]}')[1]
    strict = LiveModel(path, ServeConfig(strict=True), QueryRequest(), Listening(), Metrics())
    refused = recommended(strict, b'{"titles":["fish"]}')
    assert refused[0] == 422 and "'fish' may be '" in problem(refused) and "(fish-6)" in problem(refused)


def test_ids_that_are_numbers_are_ids(live: LiveModel) -> None:
    assert orjson.loads(recommended(live, b'{"id":7,"history":[12]}')[1])["unknown"] == ["12"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "not a JSON object"),
        (b"{", 400, "not a JSON object (unexpected end of data at character 2); expected one Query a line"),
        (b"\xff\xfe", 400, "is not text in UTF-8"),
        (b'{"histori":["a"]}', 400, "unknown field 'histori'; did you mean history?"),
        (b'{"history":"a"}', 400, "field 'history': expected 'array | null', got 'str' in a Query"),
        (b'{"history":["a"],"k":"3"}', 400, "field 'k': expected 'int | null', got 'str'"),
        (b"7", 400, "expected 'object', got 'int' in a Query"),
        (DEEP, 400, "not a JSON object"),
        (b'{"history":' + b"[" * 200 + b"]" * 200 + b"}", 400, "more than 100 lists or objects within each other"),
        (b"[" * 5000 + b"]" * 5000, 400, "depth limit exceeded"),
        (b"[]", 400, "holds no Query"),
        (b'[{"history":["a"]},{"k":1.5}]', 400, "query 2: field 'k': expected 'int | null', got 'float'"),
        (b'{"history":["a"]}\n{"k":', 400, "line 2: not a JSON object"),
        (b'{"history":["a"],"k":1001}', 400, "field 'k': is 1001, expected at most 1000 (--most-items)"),
        (b'{"history":["a"],"k":1' + b"0" * 30 + b"}", 400, "field 'k'"),
        (b'{"titles":["' + b'a","' * 50 + b'b"]}', 400, "field 'titles': has 51 titles, expected at most 50"),
        (b'{"text":"' + b"a" * 2_001 + b'"}', 400, "field 'text': has 2,001 characters, expected at most 2,000"),
        (b"{}", 422, "has none of history, titles and text"),
        (b'{"history":["a"],"k":0}', 422, "field 'k': is 0, expected at least 1"),
        (b'{"history":["a"],"times":[]}', 422, "field 'times': has 0 entries for 1 items"),
        (b'{"text":"green tea"}', 422, "cannot rank by words"),
        (b'{"history":["a"]}\n{}', 422, "line 2: has none of history, titles and text"),
        (b'[{"history":["a"]},{"history":["a"],"k":-1}]', 422, "query 2: field 'k': is -1"),
    ],
)
def test_a_wrong_body_is_one_line(live: LiveModel, body: bytes, status: int, words: str) -> None:
    answer = recommended(live, body)
    assert answer[0] == status and words in problem(answer)
    assert "\n" not in problem(answer)


def test_a_long_list_is_read_beside_the_loop_and_answered_in_order(path: Path, live: LiveModel) -> None:
    items = [item.item for item in small_items()]
    lines = [orjson.dumps({"id": f"u{at}", "history": [items[at % 24], items[(at * 7) % 24]]}) for at in range(500)]
    status, body, _ = recommended(live, b"\n".join(lines))
    assert status == 200 and body == b"".join(lines_of(path, *lines))


def test_what_arrives_together_is_answered_together_and_each_gets_its_own(
    path: Path, live: LiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    answered = batching.answered
    monkeypatch.setattr(batching, "answered", lambda works: sizes.append(len(works)) or answered(works))
    bodies = [b'{"id":"%d","history":["%b"]}' % (at, small_items()[at % 24].item.encode()) for at in range(100)]
    bodies[5] = b'{"history":["a"],"k":0}'
    found = asked(live, *(("POST", "/recommend", body) for body in bodies))
    assert [answer[0] for answer in found] == [422 if at == 5 else 200 for at in range(100)]
    assert [orjson.loads(answer[1])["id"] for answer in found[6:]] == [str(at) for at in range(6, 100)]
    assert sum(sizes) == 100 and max(sizes) > 20


def test_titles_do_not_hold_up_histories(live: LiveModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    resolve = live.now.session.resolver.resolve

    def resolved(query: Any) -> Any:
        assert not query.titles or ended.wait(20)
        return resolve(query)

    monkeypatch.setattr(live.now.session.resolver, "resolve", resolved)
    lines = live.now.session.lines

    def answers(queries: Any) -> list[bytes]:
        if queries[0].id == "history":
            ended.set()
        return lines(queries)

    monkeypatch.setattr(live.now.session, "lines", answers)
    bodies = [b'{"titles":["tea"]}', b'{"id":"history","history":["tea-1"]}']
    assert [answer[0] for answer in asked(live, *(("POST", "/recommend", body) for body in bodies))] == [200, 200]


def test_a_query_that_fails_keeps_the_others_from_nothing_and_is_told_once(
    live: LiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = live.now.session.lines

    def failing(queries: Any) -> list[bytes]:
        if any(query.id == "bad" for query in queries):
            raise RuntimeError("secret")
        return lines(queries)

    monkeypatch.setattr(live.now.session, "lines", failing)
    bodies = [b'{"id":"%b","history":["tea-1"]}' % name for name in (b"one", b"bad", b"bad", b"two")]
    heard = Listening()
    found = asked(live, *(("POST", "/recommend", body) for body in bodies), reporter=heard)
    assert [answer[0] for answer in found] == [200, 500, 500, 200]
    assert problem(found[1]) == "unexpected RuntimeError"
    (told,) = heard.warnings
    assert re.fullmatch(r"status 500: unexpected RuntimeError at \S*test_serving\.py:\d+", told)


def test_too_many_that_wait_are_sent_away_and_none_waits_for_ever(
    live: LiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread answers here."""
    monkeypatch.setattr(batching, "MAX_WAITING", 3)
    body = b'{"history":["tea-1"]}'
    began = time.monotonic()
    found = asked(live, *[("POST", "/recommend", body)] * 5, answering=False, timeout=0.2)
    assert 0.2 <= time.monotonic() - began < 4
    assert [answer[0] for answer in found] == [503] * 5
    assert all(answer[2][b"retry-after"] == b"1" for answer in found)
    assert "too many queries wait" in problem(found[0])


def test_a_large_body_is_refused_before_and_while_it_comes(live: LiveModel) -> None:
    told = asked(live, ("POST", "/recommend", b""), headers=((b"content-length", b"1073741824"),), max_body=1)[0]
    assert told[0] == 413 and problem(told) == "the body is larger than 1 KiB (--max-body); ask in several requests"
    assert asked(live, ("POST", "/recommend", [b" " * 600] * 2), max_body=1)[0][0] == 413
    assert asked(live, ("POST", "/recommend", [b'{"history":', b'["tea-1"]}']), max_body=1)[0][0] == 200


def test_similar_is_as_the_command(path: Path, live: LiveModel) -> None:
    expected = Session(path, RecommendConfig(k=3)).similar_line("tea-1")
    title = small_items()[1].title.encode().hex()
    quoted = "".join(f"%{title[at : at + 2]}" for at in range(0, len(title), 2))
    for target in ("/similar?item=tea-1&k=3", f"/similar?k=3&item={quoted}"):
        assert asked(live, ("GET", target, b""))[0][:2] == (200, expected)
    for target, status, words in (
        ("/similar?item=nothing-like-it-9", 404, "no item has the id or a title like"),
        ("/similar?item=tea", 422, "'tea' may be 'Tea Pot' (tea-2), 'Tea Cup' (tea-6), "),
        ("/similar", 400, "field 'item'"),
        ("/similar?item=tea-1&k=0", 400, "expected a number from 1 to 1000"),
        ("/similar?item=tea-1&q=1", 400, "unknown field 'q'"),
        ("/similar?item=%ff", 400, "percent-encoded"),
        ("/similar?" + "item=tea-1&" * 20, 400, "too many fields"),
        ("/similar?item=" + "tea" * 1000, 400, "longer than 2,000 characters"),
    ):
        answer = asked(live, ("GET", target, b""))[0]
        assert answer[0] == status and words in problem(answer), target


def test_paths_and_methods(live: LiveModel) -> None:
    answer = asked(live, ("GET", "/recommend", b""))[0]
    assert answer[0] == 405 and answer[2][b"allow"] == b"POST"
    assert asked(live, ("POST", "/health", b""))[0][0] == 405
    assert asked(live, ("GET", "/", b""))[0][0] == 404
    head = asked(live, ("HEAD", "/health", b""))[0]
    assert head[0] == 200 and head[1] == b"" and int(head[2][b"content-length"]) > 10


def test_a_token_opens_all_but_the_state_of_health(live: LiveModel) -> None:
    request, token = ("POST", "/recommend", QUERIES[0]), "s3cret"
    for given in ((), ((b"authorization", b"Bearer s3cre"),), ((b"authorization", b"Basic s3cret"),)):
        answer = asked(live, request, token=token, headers=given)[0]
        assert answer[0] == 401 and answer[2][b"www-authenticate"] == b"Bearer"
        assert orjson.loads(asked(live, ("GET", "/health", b""), token=token, headers=given)[0][1]) == {"status": "ok"}
    right = ((b"authorization", b"Bearer s3cret"),)
    for given in (right, ((b"authorization", b"bearer s3cret"),)):
        assert asked(live, request, token=token, headers=given)[0][0] == 200
    assert "version" in orjson.loads(asked(live, ("GET", "/health", b""), token=token, headers=right)[0][1])


def test_figures_in_the_form_of_prometheus(live: LiveModel) -> None:
    metrics = Metrics()
    for seconds, status in ((0.0005, 200), (0.01, 200), (0.0101, 500), (99.0, 503)):
        metrics.request("/recommend", status, seconds)
    metrics.batch(5)
    metrics.refused["too slow a reader"] += 1
    text = metrics.text({"queries_waiting": 3}, {"version": 'a"b\\'}, 12.5).decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['eimf_requests_total{path="/recommend",status="200"}'] == "2"
    assert values["eimf_errors_total"] == "2" and values["eimf_queries_waiting"] == "3"
    buckets = {bound: values[f'eimf_request_duration_seconds_bucket{{path="/recommend",le="{bound}"}}'] for bound in
               ("0.001", "0.01", "0.025", "10.0", "+Inf")}  # fmt: skip
    assert buckets == {"0.001": "1", "0.01": "2", "0.025": "3", "10.0": "3", "+Inf": "4"}
    assert values['eimf_request_duration_seconds_count{path="/recommend"}'] == "4"
    assert "# HELP eimf_queries_waiting Queries that wait to be answered." in text
    assert float(values['eimf_request_duration_seconds_sum{path="/recommend"}']) == pytest.approx(99.0206)
    assert values['eimf_model_info{version="a\\"b\\\\"}'] == "1"
    kinds = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {name.split("{")[0].removesuffix(end) for name in values for end in ("_bucket", "_sum", "_count")} >= kinds
    body = asked(live, ("GET", "/metrics", b""))[0][1].decode()
    assert f'eimf_model_info{{version="{live.now.version}",backbone="halves"}} 1' in body
    assert all(f"\neimf_{name} " in body for name in GAUGES)


def other_model(path: Path) -> Path:
    """A model that lists other items first: its vectors are turned round."""
    return write_named_model(path, small_items()[::-1])


def write_manifest_anew(path: Path) -> None:
    """Let the manifest of a model say what its files hold."""
    place = path / "manifest.json"
    manifest = orjson.loads(place.read_bytes())
    for name, described in manifest["files"].items():
        described["sha256"] = files.sha256(path / name)
    place.write_bytes(orjson.dumps(manifest))


def first(live: LiveModel) -> bytes:
    return recommended(live, QUERIES[0])[1]


def replaced_in_one_step(place: Path, fresh: Path) -> None:
    os.rename(place, f"{place}.old")
    os.rename(fresh, place)


def replaced_file_by_file(place: Path, fresh: Path) -> None:
    shutil.copytree(fresh, place, dirs_exist_ok=True)


@pytest.mark.parametrize("replace", [replaced_in_one_step, replaced_file_by_file])
def test_a_model_that_is_replaced_is_taken(tmp_path: Path, replace: Callable[[Path, Path], None]) -> None:
    said = Listening()
    live = served(write_named_model(tmp_path / "model"), said)
    before, version = first(live), live.now.version
    replace(tmp_path / "model", other_model(tmp_path / "fresh"))
    live.look_again()
    assert live.now.version == version, "a directory that has just changed may change further"
    live.look_again()
    assert live.now.version != version and first(live) != before and live.problem is None
    assert said.notes[-1].endswith(f"version {live.now.version} serves in the place of {version}")
    live.look_again()
    assert len([note for note in said.notes if "in the place of" in note]) == 1


def test_a_link_that_leads_elsewhere_is_followed(tmp_path: Path) -> None:
    nights = [write_named_model(tmp_path / "nights" / "1" / "model"), other_model(tmp_path / "nights" / "2" / "model")]
    link = tmp_path / "current"
    link.symlink_to("nights/1")
    live = served(link / "model")
    (tmp_path / "new").symlink_to("nights/2")
    os.replace(tmp_path / "new", link)
    # the night that served is removed: what was opened stays
    shutil.rmtree(nights[0].parent)
    before = first(live)
    live.look_again()
    live.look_again()
    assert first(live) == first(served(nights[1])) != before


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="open files are listed in /dev/fd")
def test_models_that_were_replaced_or_refused_keep_no_file_open(tmp_path: Path) -> None:
    path = write_named_model(tmp_path / "model")
    live = served(path)
    index, opened = path / "items.index.safetensors", []
    whole = index.read_bytes()
    for turn in range(4):
        # every second one is refused, once all of its files were opened
        index.write_bytes(whole if turn % 2 else whole.replace(b'"order"', b'"other"'))
        write_manifest_anew(path)
        live.look_again()
        assert live.look_again() is bool(turn % 2), live.problem
        gc.collect()
        opened.append(len(os.listdir("/dev/fd")))
    assert opened[-1] <= opened[1]


@pytest.mark.parametrize("damage", ["cut short", "other bytes", "missing", "no directory"])
def test_a_half_written_model_keeps_the_one_before_and_says_so(tmp_path: Path, damage: str) -> None:
    said = Listening()
    path = write_named_model(tmp_path / "model")
    live = served(path, said)
    # nothing of the answer is remembered from before the damage
    expected, version = first(served(path)), live.now.version
    weights, whole = path / "weights.safetensors", (path / "weights.safetensors").read_bytes()
    if damage == "cut short":
        os.truncate(weights, 100)
    elif damage == "other bytes":
        weights.write_bytes(whole[:-4] + b"\0\1\2\3")
    elif damage == "missing":
        weights.unlink()
    else:
        path.rename(tmp_path / "elsewhere")
    for _ in range(4):
        live.look_again()
    assert first(live) == expected and live.now.version == version
    (warning,) = [line for line in said.warnings if "keeps serving" in line]
    assert str(path) in warning and f"the previous model keeps serving (version {version})" in warning
    health = orjson.loads(asked(live, ("GET", "/health", b""))[0][1])
    assert health["status"] == "old model" and health["problem"] in warning
    if damage == "no directory":
        (tmp_path / "elsewhere").rename(path)
    weights.write_bytes(whole)
    live.look_again()
    live.look_again()
    assert live.problem is None and first(live) == expected


def test_what_could_not_be_opened_is_tried_again_after_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, tried, pauses = Listening(), [], []
    live = served(write_named_model(tmp_path / "model"), said)
    before = first(live)

    def busy() -> None:
        tried.append(True)
        raise OSError(errno.EBUSY, "Device or resource busy", "weights.safetensors")

    replaced_in_one_step(tmp_path / "model", other_model(tmp_path / "fresh"))
    with monkeypatch.context() as patch:
        patch.setattr(live, "_opened", busy)
        for turn in range(1, 11):
            for _ in range(3):
                live.look_again()
            assert len(tried) == turn
            pauses.append(live._again - time.monotonic())
            live._again = time.monotonic()
    assert [round(pause) for pause in pauses] == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert len([line for line in said.warnings if "keeps serving" in line]) == 1 and first(live) == before
    assert live.look_again() and live.problem is None and first(live) != before
    assert not live.look_again()


def test_files_of_what_may_be_listed_are_read_again(tmp_path: Path) -> None:
    path, stock = write_named_model(tmp_path / "model"), tmp_path / "stock.txt"
    stock.write_text("tea-2\n")
    live = served(path, request=QueryRequest(only_items=stock))
    assert [item["item"] for item in orjson.loads(first(live))["items"]] == ["tea-2"]
    stock.write_text("tea-3\ntea-4\n")
    live.look_again()
    live.look_again()
    assert {item["item"] for item in orjson.loads(first(live))["items"]} == {"tea-3", "tea-4"}


def test_nothing_of_a_query_is_told_to_the_reporter(tmp_path: Path) -> None:
    said = Listening()
    live = served(write_named_model(tmp_path / "model"), said)
    for body in (b'{"id":"user-4711","history":["nope"]}', b'{"titles":["nothing like it"],"id":"user-4711"}'):
        assert recommended(live, body)[0] == 200
    assert not [line for line in said.notes + said.warnings if "4711" in line or "nope" in line or "nothing" in line]


def test_a_broken_model_is_told_before_anything_is_served(tmp_path: Path) -> None:
    from eimf_core.errors import ModelError

    with pytest.raises(ConfigError, match="no such model directory"):
        served(tmp_path / "none")
    path = write_named_model(tmp_path / "model")
    os.truncate(path / "weights.safetensors", 100)
    with pytest.raises(ModelError, match=r"weights\.safetensors has 100 bytes"):
        served(path)


def test_a_private_copy_outlives_its_files(tmp_path: Path) -> None:
    path = write_named_model(tmp_path / "model")
    model = artifact.open_model(path, private=True)
    before = np.array(model.vectors)
    for entry in path.iterdir():
        os.truncate(entry, 0)
    assert (model.vectors == before).all() and model.catalogue.item(24).item == small_items()[23].item


def test_other_machines_are_let_in_with_a_token_or_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(http_server.TOKEN, raising=False)
    with pytest.raises(ConfigError, match="EIMF_SERVE_TOKEN, or say --open"):
        http_server.bound_sockets(ServeConfig(host="0.0.0.0", port=0), None, 1)
    for settings, token in ((ServeConfig(host="0.0.0.0", port=0), "t"), (ServeConfig(port=0), None)):
        http_server.bound_sockets(settings, token, 1)[0].close()
    http_server.bound_sockets(ServeConfig(host="0.0.0.0", port=0, open=True), None, 1)[0].close()
    with pytest.raises(ConfigError, match="--host no-such-host"):
        http_server.bound_sockets(ServeConfig(host="no-such-host.invalid"), None, 1)
    for wrong in ("", "two words", "ümlaut", "line\n"):
        monkeypatch.setenv(http_server.TOKEN, wrong)
        with pytest.raises(ConfigError, match="set another token"):
            http_server.token_of_environment()


def test_an_array_is_read_as_lines_are() -> None:
    assert [query.id for query in request_body.read(b'[{"history":[]},{"id":"x"}]', 10).queries] == ["1", "x"]
    with pytest.raises(InputError, match="not a JSON object"):
        request_body.read(b"[{]", 10)
