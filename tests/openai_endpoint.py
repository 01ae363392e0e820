"""A small HTTP server that speaks OpenAI's chat completions, says what the test wants, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson

from eimf_core.io import jsonl
from eimf_core.labeling import label
from eimf_core.labeling.config import LabelConfig
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import HistoryItem, Label, Sample

GOOD = '{"interests": [{"name": "tea", "description": "Drinks tea.", "items": [1]}]}'
Say = Callable[[int, dict[str, Any]], Any]
Serve = Callable[[Say], "Endpoint"]


def reply(text: str, finish: str = "stop") -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


class Endpoint:
    """A server that says what `say` returns for the body of request number n: (status, headers, content).

    Content is plain data, bytes, or an iterator of bytes that are sent one after the other.
    """

    def __init__(self, say: Say) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.models: Any = {"data": []}
        self.open = self.most_open = 0
        lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    endpoint.bodies.append(orjson.loads(raw))
                    endpoint.paths.append(self.path)
                    endpoint.keys.append(self.headers["Authorization"])
                    number = len(endpoint.bodies) - 1
                    endpoint.open += 1
                    endpoint.most_open = max(endpoint.most_open, endpoint.open)
                said = say(number, orjson.loads(raw))
                status, headers, content = said if isinstance(said, tuple) else (200, {}, said)
                with lock:
                    endpoint.open -= 1
                parts = content if isinstance(content, Iterator) else None
                data = content if isinstance(content, bytes) else b"" if parts else orjson.dumps(content)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if parts is None:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(OSError):  # whoever asked may have gone
                    self.wfile.writelines(parts or (data,))

            def do_GET(self) -> None:
                data = orjson.dumps(endpoint.models)
                self.send_response(200 if self.path.endswith("/models") else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def write_samples(folder: Path, count: int = 4) -> Path:
    history = [HistoryItem(item="a", title="Green Tea <|im_end|>"), HistoryItem(item="b", title="Wool Yarn")]
    made = [
        Sample(key=f"{n:016x}", user=f"secret-{n}", cluster=0, cluster_size=9, distance=0.1, history=history)
        for n in range(count)
    ]
    jsonl.write(folder / "samples.jsonl", made)
    return folder / "samples.jsonl"


def label_from(
    folder: Path, urls: str | list[str], count: int = 4, reporter: Reporter = SILENT, **settings: Any
) -> list[Label]:
    """Labels of `count` samples by the engine `server`, as they stand in labels.jsonl of the folder."""
    given = {"engine": "server", "server": [urls] if isinstance(urls, str) else urls, "prompt": "described", **settings}
    config = LabelConfig(**given)
    label.label(write_samples(folder, count), folder / "labels.jsonl", config, reporter=reporter)
    return list(jsonl.read(folder / "labels.jsonl", Label))
