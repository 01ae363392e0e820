"""`eimf serve` over sockets: slow, large and many clients, and how it starts and ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from eimf_core.errors import ConfigError
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import Session
from eimf_core.records import Query
from eimf_core.serving import http_server, live_model
from eimf_core.serving.config import ServeConfig
from tests.conftest import ROOT, Eimf, one_error_line
from tests.recommend_models import write_named_model
from tests.serving import Service, running, told

QUERY = b'{"history":["tea-1"]}'
HEAD = b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-length: "
CONNECTIONS = 12


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_model(tmp_path_factory.mktemp("serve") / "model")


@pytest.fixture(scope="module")
def service(path: Path) -> Iterator[Service]:
    with running(path, connections=CONNECTIONS, timeout=0.5, max_body=64) as service:
        yield service


def still_answers(service: Service) -> bool:
    return service.ask("/recommend", QUERY)[0] == 200


def test_answers_are_those_of_recommend(service: Service, path: Path) -> None:
    session = Session(path, RecommendConfig())
    resolved = session.resolver.resolve(Query(history=["tea-1"]))
    status, body, headers = service.ask("/recommend", QUERY)
    assert (status, [body]) == (200, session.lines([resolved]))
    assert "server" not in headers


def test_many_requests_on_one_connection_also_sent_ahead(service: Service) -> None:
    request = HEAD + b"%d\r\n\r\n" % len(QUERY) + QUERY
    with service.connect() as connection:
        for _ in range(3):
            connection.sendall(request)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(request * 4)
        held = b""
        while held.count(b"HTTP/1.1 200") < 4:
            held += connection.recv(1 << 16)


def test_a_body_of_a_gigabyte_is_refused_and_not_kept(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD + b"1073741824\r\n\r\n" + b" " * 100_000)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413")
        # what comes of it all the same is thrown away, for as long as a request may take
        began = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while time.monotonic() - began < 15:
                connection.sendall(b" " * (1 << 20))
                time.sleep(0.01)
    with service.connect() as connection:
        connection.sendall(HEAD[: HEAD.index(b"content")] + b"transfer-encoding: chunked\r\n\r\n")
        connection.sendall((b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 3)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413")
    assert still_answers(service)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"POST /recommend HT", b"HTTP/1.1 408"),
        (HEAD + b"100\r\n\r\n{", b"HTTP/1.1 408"),
        (b"", b""),
        (b"GET /health HTTP/1.1\r\nx: " + b"y" * 100_000, b"HTTP/1.1 431"),
        (b"GET /health HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", b"HTTP/1.1 431"),
        (b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 12_000 + b"\r\n", b"HTTP/1.1 431"),
        (b"GET /health?" + b"y" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"HTTP/1.1 431"),
        (b"no HTTP at all\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" * 100, None),
    ],
)
def test_slow_and_odd_clients_are_ended(service: Service, said: bytes, answer: bytes | None) -> None:
    with service.connect() as connection:
        connection.sendall(said)
        found = told(connection)
    assert answer is None or (found.startswith(answer) and bool(found) == bool(answer))
    assert still_answers(service)


GET = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (GET * 15 + GET.replace(b"host: x", b"connection: close"), [200] * 16),
        (GET * 21, [200] * 16),
        (GET * 3 + b"no request\r\n\r\n" + GET, [200] * 3 + [400]),
        (GET + HEAD.replace(b"content-length: ", b"transfer-encoding: chunked\r\n\r\nzz\r\n"), [200, 400]),
        (GET * 2 + GET.replace(b"host", b"host: x\r\nx: " + b"y" * 70_000 + b"\r\ny"), [200, 200, 431]),
        (GET + HEAD + b"65500\r\n\r\n" + QUERY + b" " * (65_500 - len(QUERY)) + GET[:-2], [200, 200, 408]),
    ],
)
def test_what_was_sent_ahead_of_what_ends_a_connection_is_answered(
    service: Service, sent: bytes, statuses: list[int]
) -> None:
    with service.connect() as connection:
        connection.sendall(sent)
        found = told(connection)
    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", found)] == statuses


def test_a_connection_that_is_ended_counts_once_and_what_is_no_request_is_told_as_json(path: Path) -> None:
    with running(path) as service:
        with service.connect() as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\n\r\n" * 60)
            told(connection)
        with service.connect() as connection:
            connection.sendall(b"hello\r\n\r\n")
            head, _, body = told(connection).partition(b"\r\n\r\n")
        assert b"400" in head and b"application/json" in head and "no request" in orjson.loads(body)["error"]
        figures = service.ask("/metrics")[1].decode().splitlines()
    assert 'eimf_refused_total{reason="too many requests ahead"} 1' in figures
    assert 'eimf_refused_total{reason="no request of HTTP"} 1' in figures


def test_who_offers_http_2_is_answered_as_others_are(service: Service) -> None:
    more = b"connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\ncontent-length: "
    offer = HEAD.replace(b"content-length: ", more)
    with service.connect() as connection:
        for _ in range(2):
            connection.sendall(offer + b"%d\r\n\r\n" % len(QUERY) + QUERY)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_a_later_request_on_a_connection_has_its_time_too(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD + b"%d\r\n\r\n" % len(QUERY) + QUERY)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(HEAD + b"%d\r\n\r\n" % len(QUERY) + QUERY[:5])
        assert told(connection).startswith(b"HTTP/1.1 408")


@pytest.mark.slow
def test_one_who_does_not_read_is_ended(path: Path) -> None:
    with running(path, timeout=0.5, max_body=1024) as service, service.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = b"\n".join([QUERY] * 5000)
        connection.sendall(HEAD + b"%d\r\n\r\n" % len(body) + body)
        for _ in range(200):
            time.sleep(0.05)
            if b'reason="too slow a reader"} 1' in service.ask("/metrics")[1]:
                break
        else:
            pytest.fail("the connection stays")


def test_one_connection_too_many_is_told_so_and_the_others_go_on(service: Service) -> None:
    open_ones = [service.connect() for _ in range(CONNECTIONS)]
    try:
        request = HEAD + b"%d\r\n\r\n" % len(QUERY) + QUERY
        # each of them is known to be open
        for connection in open_ones:
            connection.sendall(request)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        for _ in range(50):
            with service.connect() as connection:
                refused = told(connection)
                assert refused.startswith(b"HTTP/1.1 503") and b"\r\nretry-after: 1\r\n" in refused
        open_ones[3].sendall(request)
        assert open_ones[3].recv(1 << 16).startswith(b"HTTP/1.1 200")
    finally:
        for connection in open_ones:
            connection.close()
    for _ in range(100):
        if service.ask("/health")[0] == 200:
            break
        time.sleep(0.05)
    assert still_answers(service)


@pytest.mark.slow
def test_a_replaced_model_is_taken_while_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_model, "INTERVAL", 0.05)
    with running(write_named_model(tmp_path / "model")) as service:
        version = orjson.loads(service.ask("/health")[1])["version"]
        write_named_model(tmp_path / "model", named=False)
        for _ in range(200):
            status, _, headers = service.ask("/recommend", QUERY)
            assert status == 200
            if headers["eimf-model-version"] != version:
                break
            time.sleep(0.05)
        else:
            pytest.fail("the new model is not taken")


def started(
    path: Path, environment: dict[str, str], workers: int = 1, *more: str
) -> tuple[subprocess.Popen[bytes], int]:
    command = [sys.executable, "-m", "eimf_cli", "serve", str(path), "--port", "0", "--workers", str(workers), *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT, env=environment)
    assert process.stderr is not None
    # on a busy machine there is a sign of life before
    for line in process.stderr:
        if b"http://127.0.0.1:" in line:
            break
    found = re.search(rb"http://127\.0\.0\.1:(\d+)", line)
    assert found
    return process, int(found[1])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_open_is_answered_before_the_end(path: Path, environment: dict[str, str], number: int) -> None:
    process, port = started(path, environment)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(HEAD + b"%d\r\n\r\n" % len(QUERY) + QUERY[:5])
            time.sleep(0.2)
            process.send_signal(number)
            time.sleep(0.5)
            connection.sendall(QUERY[5:])
            assert told(connection).startswith(b"HTTP/1.1 200")
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read().decode().strip().endswith("the service has ended; 1 query was answered")
    finally:
        process.kill()
        process.wait()


def counted(port: int, name: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        found = re.search(rf"^eimf_{name} (\d+)$", answer.read().decode(), re.MULTILINE)
    assert found
    return int(found[1])


def answering(process: int) -> list[int]:
    """The processes of a service."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def killed_and_replaced(process: int) -> tuple[int, list[int]]:
    """Kill one of the processes that answer; which it was, and those that there are once another one has its place."""
    before = answering(process)
    os.kill(before[0], signal.SIGKILL)
    for _ in range(100):
        if len(now := answering(process)) == len(before) and before[0] not in now:
            return before[0], now
        time.sleep(0.05)
    pytest.fail("no other process takes its place")


def version_of(model: Path) -> str:
    return hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest()[: live_model.VERSION]


def versions(port: int) -> set[str]:
    """The models that 30 connections, which come to all processes, are answered by."""
    found, request = set(), f"http://127.0.0.1:{port}/recommend"
    for _ in range(30):
        # a process that was killed answers nothing; one that hangs is a fault
        with contextlib.suppress(ConnectionError), urllib.request.urlopen(request, QUERY, timeout=10) as answer:
            found.add(answer.headers["eimf-model-version"])
    return found


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
def test_several_processes_answer_at_one_port(path: Path, environment: dict[str, str], eimf: Eimf) -> None:
    process, port = started(path, environment, workers=3)

    def ask(number: int) -> None:
        for _ in range(number):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/recommend", QUERY, timeout=20) as answer:
                assert orjson.loads(answer.read())["items"]

    try:
        assert len(answering(process.pid)) == 3
        ask(30)
        time.sleep(3 * http_server.SHARE_INTERVAL)
        # each tells of all
        assert {counted(port, "queries_total") for _ in range(10)} == {30}
        # a port that several sockets share is not shared with another service
        line = one_error_line(eimf("serve", path, "--port", port, "--workers", "2"), 2)
        assert f"--port {port} on 127.0.0.1 cannot be taken" in line
        before = answering(process.pid)
        first, now = killed_and_replaced(process.pid)
        assert set(before) - {first} < set(now)
        ask(30)
        time.sleep(3 * http_server.SHARE_INTERVAL)
        assert counted(port, "queries_total") == 60
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert "a process of the service ended (SIGKILL); another one takes its place" in said
        assert said.strip().endswith("the service has ended; 60 queries were answered") and "Traceback" not in said
        assert not any(Path(f"/proc/{child}").exists() for child in now)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone deals connections out among sockets")
def test_a_port_is_not_shared_with_a_service_that_is_about_to_listen(path: Path) -> None:
    first = http_server.bound_sockets(ServeConfig(port=0), None, 2)
    try:
        port = first[0].getsockname()[1]
        for number in (1, 2):
            with pytest.raises(ConfigError, match=f"--port {port} on 127.0.0.1 cannot be taken"):
                http_server.bound_sockets(ServeConfig(port=port), None, number)
    finally:
        for each in first:
            each.close()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
def test_the_processes_of_a_service_count_together_and_take_the_same_model(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    model = write_named_model(tmp_path / "model")
    process, port = started(model, environment, 3, "--connections", "6")
    try:
        with contextlib.ExitStack() as open_ones:
            for _ in range(6):
                connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                connection.sendall(HEAD + b"%d\r\n\r\n" % len(QUERY) + QUERY)
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            # whichever process it comes to
            for _ in range(10):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as further:
                    assert told(further).startswith(b"HTTP/1.1 503")
        seen = [counted(port, "queries_total") for _ in range(40)]
        assert seen == sorted(seen)
        write_named_model(tmp_path / "model", named=False)
        # one that starts anew takes the model that lies there, before it answers
        time.sleep(3 * live_model.INTERVAL)
        killed_and_replaced(process.pid)
        assert versions(port) == {version_of(model)}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
def test_a_process_that_starts_anew_has_the_latest_model_that_could_be_opened(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    model = write_named_model(tmp_path / "model")
    process, port = started(model, environment, 2)
    try:
        write_named_model(tmp_path / "model", named=False)
        wanted = version_of(model)
        # two looks at the directory, and a model to open
        time.sleep(4 * live_model.INTERVAL)
        assert versions(port) == {wanted} and counted(port, "reloads_total") == 2
        (model / "manifest.json").write_bytes(b"{")
        # before that is noticed, and after
        for looks in (0, 3):
            time.sleep(looks * live_model.INTERVAL)
            killed_and_replaced(process.pid)
            assert versions(port) == {wanted} and counted(port, "reloads_total") == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert said.count(f"version {wanted} serves in the place of") == 1
        assert said.count("manifest.json is damaged") == 1
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
def test_processes_end_with_the_first_one(path: Path, environment: dict[str, str]) -> None:
    process, _ = started(path, environment, workers=2)
    left = answering(process.pid)
    process.kill()
    process.wait()
    for _ in range(200):
        if not any(Path(f"/proc/{child}").exists() for child in left):
            break
        time.sleep(0.05)
    else:
        pytest.fail("processes are left")


def test_a_port_in_use_is_one_line(path: Path, eimf: Eimf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_error_line(eimf("serve", path, "--port", port), 2)
    assert f"--port {port} on 127.0.0.1 cannot be taken" in line


def test_without_its_packages_one_line_says_what_to_install(
    path: Path, eimf: Eimf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'eimf[serve]'" in one_error_line(eimf("serve", path), 2)


@pytest.mark.slow
def test_a_token_in_the_environment_is_asked_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "EIMF_SERVE_TOKEN", "s3cret")
    with running(path) as service:
        assert service.ask("/recommend", QUERY)[0] == 401
        assert service.ask("/recommend", QUERY, authorization="Bearer s3cret")[0] == 200
        assert not [line for line in service.said.notes if "s3cret" in line]
