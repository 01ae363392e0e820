"""A small HTTP server that speaks OpenAI's chat completions, says what the test wants, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


def reply(text: str, finish: str = "stop") -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


class Endpoint:
    """A server that says what `say` returns for the body of request number n: (status, headers, content).

    Content is plain data, bytes, or an iterator of bytes that are sent one after the other.
    """

    def __init__(self, say: Callable[[int, dict[str, Any]], Any]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.open = self.most_open = 0
        lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    endpoint.bodies.append(orjson.loads(raw))
                    endpoint.paths.append(self.path)
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

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
