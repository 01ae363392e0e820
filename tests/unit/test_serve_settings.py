"""Every setting of `serve` changes an answer or how the service listens; those of `recommend` change the same lists."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError
from eimf_core.recommend.query.request import QueryRequest
from eimf_core.serving import batching, http_server
from eimf_core.serving.config import ServeConfig
from eimf_core.serving.live_model import LiveModel
from eimf_core.serving.metrics import Metrics
from eimf_core.text import loading
from tests.listening import Listening
from tests.recommend_models import write_indexed_model
from tests.unit import test_recommend_settings
from tests.unit.test_serving import asked, recommended

QUERY = b'{"history":["tea-1"]}'


class StopError(Exception):
    """Ends a service before it listens."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_indexed_model(tmp_path_factory.mktemp("serve-settings") / "model")


def answers(path: Path, **settings: Any) -> list[Any]:
    """Status and body of the answer to each query of the settings test of `recommend`."""
    live = LiveModel(path, ServeConfig(**settings), QueryRequest(), Listening(), Metrics())
    bodies = [orjson.dumps(query) for query in map(_fields, test_recommend_settings.QUERIES)]
    return [answer[:2] for answer in asked(live, *(("POST", "/recommend", body) for body in bodies), **settings)]


def _fields(query: Any) -> dict[str, Any]:
    return {name: value for name in query.__struct_fields__ if (value := getattr(query, name)) is not None}


def status(path: Path, body: bytes, **settings: Any) -> int:
    live = LiveModel(path, ServeConfig(), QueryRequest(), Listening(), Metrics())
    return recommended(live, body, **settings)[0]


def address(settings: ServeConfig, token: str | None = None) -> tuple[str, int]:
    with http_server.bound_sockets(settings, token, 1)[0] as found:
        host, port = found.getsockname()
        return host, port


def host(path: Path, patched: pytest.MonkeyPatch) -> None:
    assert address(ServeConfig(port=0))[0] == "127.0.0.1"
    assert address(ServeConfig(port=0, host="0.0.0.0"), "token")[0] == "0.0.0.0"


def port(path: Path, patched: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        chosen = free.getsockname()[1]
    assert address(ServeConfig(port=chosen))[1] == chosen


def open_to_all(path: Path, patched: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--host 0\.0\.0\.0 lets other machines in"):
        address(ServeConfig(port=0, host="0.0.0.0"))
    assert address(ServeConfig(port=0, host="0.0.0.0", open=True))[0] == "0.0.0.0"


def most_items(path: Path, patched: pytest.MonkeyPatch) -> None:
    body = b'{"history":["tea-1"],"k":3}'
    assert (status(path, body), status(path, body, most_items=2)) == (200, 400)


def max_body(path: Path, patched: pytest.MonkeyPatch) -> None:
    body = QUERY + b" " * 3000
    assert (status(path, body), status(path, body, max_body=2)) == (200, 413)


def timeout(path: Path, patched: pytest.MonkeyPatch) -> None:
    answered = batching.answered

    def slow(works: Any) -> Any:
        time.sleep(0.5)
        return answered(works)

    patched.setattr(batching, "answered", slow)
    assert (status(path, QUERY), status(path, QUERY, timeout=0.1)) == (200, 503)


def connections(path: Path, patched: pytest.MonkeyPatch) -> None:
    assert most_connections(path, patched, connections=7) == 7


def workers(path: Path, patched: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []

    class Recorded(http_server.WorkerProcesses):
        def __init__(self, number: int, *more: Any, **further: Any) -> None:
            numbers.append(number)
            raise StopError

    patched.setattr(http_server, "WorkerProcesses", Recorded)
    pytest.importorskip("uvicorn", reason="needs eimf[serve]")
    with pytest.raises(StopError):
        http_server.serve(path, ServeConfig(port=0, workers=3), QueryRequest(), Listening())
    assert numbers == [3]


def encoder(path: Path, patched: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--encoder \./nowhere: no such folder"):
        answers(path, encoder="./nowhere")
    other = SimpleNamespace(identity="other@1")
    patched.setattr(loading, "open_encoder", lambda name: other)
    with pytest.raises(ConfigError, match=r"was trained with the text encoder all-MiniLM.*, not other@1"):
        answers(path, encoder="other")


def most_connections(path: Path, patched: pytest.MonkeyPatch, **settings: Any) -> int:
    """How many connections may be open, as the server is made."""
    protocol = pytest.importorskip("eimf_core.serving.protocol", reason="needs eimf[serve]")
    numbers: list[int] = []

    def bounds(settings: ServeConfig, connections: int, *more: Any) -> None:
        numbers.append(connections)
        raise StopError

    patched.setattr(protocol, "with_bounds", bounds)
    patched.delenv(http_server.TOKEN, raising=False)
    with pytest.raises(StopError):
        http_server.serve(path, ServeConfig(port=0, workers=1, **settings), QueryRequest(), Listening())
    return numbers[0]


CHECKS: dict[str, Callable[[Path, pytest.MonkeyPatch], None]] = {
    "host": host, "port": port, "open": open_to_all, "most_items": most_items, "max_body": max_body,
    "timeout": timeout, "connections": connections, "workers": workers, "encoder": encoder,
}  # fmt: skip


@pytest.fixture(scope="module")
def usual(path: Path) -> list[Any]:
    """The answers where nothing is set."""
    return answers(path)


@pytest.mark.parametrize("name", [field.name for field in fields(ServeConfig)])
def test_a_setting_has_its_effect(path: Path, usual: list[Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in CHECKS:
        CHECKS[name](path, monkeypatch)
    else:
        assert answers(path, **{name: test_recommend_settings.CHANGED[name]}) != usual


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70_000), ("port", -1), ("most_items", 0), ("max_body", 0), ("timeout", 0.0), ("timeout", 3601.0),
        ("connections", 0), ("workers", 0), ("workers", 65), ("k", 0), ("seen", "maybe"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} is"):
        ServeConfig(**{name: value})
